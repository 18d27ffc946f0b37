import type { Row } from "@waybill/sql";
import type { DeadLetter, Reader } from "./dead-letters.ts";

/** About the most payload that `takeReleased` answers: with rows of the largest size a call must stay small, too. */
export const takeBytesMax: number = 8 * 1024 * 1024;

/** A released row as both dialects read it. Bytes come as they are or, from PostgreSQL, as hex. */
export function toReleasedLetter(reader: Reader, row: Row): DeadLetter {
  const createdAtMs = textOrNull(row.created_at_ms);
  return {
    origin: reader.origin,
    reader: reader.name,
    sequence: BigInt(String(row.sequence)),
    messageId: String(row.message_id),
    type: String(row.type),
    topic: String(row.topic),
    key: textOrNull(row.key),
    headers: textOrNull(row.headers),
    payload: bytesOf(row) ?? textOrNull(row.payload),
    createdAtMs: createdAtMs === null ? null : Number(createdAtMs),
    reason: textOrNull(row.reason),
    fingerprint: textOrNull(row.fingerprint),
    attempts: Number(row.attempts),
    mayBeStored: Number(row.may_be_stored) === 1,
    state: "released",
    givenUpAtMs: Number(row.given_up_at_ms),
  };
}

/** Bytes as both dialects read them; null: the payload is text, or there is none. */
export function bytesOf({ payload_hex: hex, payload_bytes: bytes }: Row): Uint8Array | null {
  if (typeof hex === "string") return new Uint8Array(Buffer.from(hex, "hex"));
  return bytes instanceof Uint8Array ? new Uint8Array(bytes) : null;
}

/** The statements answer text for everything that is not bytes, a boolean or a small number. */
export function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
