import { hash } from "node:crypto";

/**
 * The fingerprint of a message's type and payload: 128 bits of SHA-256, as hex. Two messages with one id and two fingerprints are a mistake
 * of their producer, or a forgery. A tombstone differs from an empty payload.
 */
export function fingerprintOf(type: string, payload: Uint8Array | null): string {
  const begin = Buffer.from(`${payload === null ? "tombstone" : "payload"} ${Buffer.byteLength(type)} ${type}`);
  return hash("sha256", payload === null ? begin : Buffer.concat([begin, payload]), "hex").slice(0, 32);
}
