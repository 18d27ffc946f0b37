/** Rows of `waybill_spill` as both dialects read them. Bytes come as they are or, from PostgreSQL, as hex. */
import type { LedgerRow } from "@waybill/outbox";
import type { Row } from "@waybill/sql";
import type { SpilledHead, SpilledMessage } from "./spill.ts";

/** A copy whole, in the shape of the row it was made of. */
export function toSpilledRow(row: Row): LedgerRow {
  const hex = textOrNull(row["payload_hex"]);
  const bytes = row["payload_bytes"] instanceof Uint8Array ? row["payload_bytes"] : null;
  const text = textOrNull(row["payload"]);
  return {
    id: BigInt(String(row["sequence"])),
    messageId: String(row["message_id"]),
    type: String(row["type"]),
    topic: String(row["topic"]),
    key: textOrNull(row["key"]),
    headers: textOrNull(row["headers"]),
    payload: text !== null ? Buffer.from(text, "utf8") : hex === null ? bytes : Buffer.from(hex, "hex"),
    isText: text !== null,
    leftBytes: null,
    createdAtMs: Number(row["created_ms"]),
  };
}

export function toSpilledHead(row: Row): SpilledHead {
  return {
    sequence: BigInt(String(row["sequence"])),
    messageId: String(row["message_id"]),
    topic: String(row["topic"]),
    key: textOrNull(row["key"]),
    attempts: Number(row["attempts"]),
    mayBeStored: Number(row["may_be_stored"]) === 1,
    bytes: Number(row["bytes"]),
    createdAtMs: Number(row["created_ms"]),
  };
}

/** Of a row that tells of a lane instead: none. */
export function toSpilledMessage({ sequence, message_id: messageId }: Row): readonly SpilledMessage[] {
  return typeof sequence === "string" && typeof messageId === "string" ? [{ sequence: BigInt(sequence), messageId }] : [];
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
