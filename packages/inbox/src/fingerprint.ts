import { createHash } from "node:crypto";

/**
 * The fingerprint of a message's type and payload: 128 bits of SHA-256, as hex. Two messages with one id and two fingerprints are a mistake
 * of their producer, or a forgery. A tombstone differs from an empty payload.
 */
export function fingerprintOf(type: string, payload: Uint8Array | null): string {
  const hash = createHash("sha256").update(`${payload === null ? "tombstone" : "payload"} ${Buffer.byteLength(type)} ${type}`);
  if (payload !== null) hash.update(payload);
  return hash.digest("hex").slice(0, 32);
}
