import { createHash } from "node:crypto";

/**
 * The fingerprint under which payloads are compared: SHA-256 of the bytes in hex; text counts as its UTF-8 bytes.
 * The readers compute the same in the database.
 *
 * Edge: no payload (`null`) has the digest of an empty one, because most destinations cannot tell them apart.
 */
export function digest(payload: string | Uint8Array | null): string {
  return createHash("sha256")
    .update(payload ?? "")
    .digest("hex");
}
