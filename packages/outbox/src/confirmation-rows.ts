/** Rows of messages that are not confirmed, as both dialects answer them. */
import type { Row } from "@waybill/sql";
import type { DueConfirmation, LockedCopies, MeasuredConfirmations } from "./confirmations.ts";
import type { StoredMessage } from "./stored-message.ts";

export function dueConfirmation(row: Row): DueConfirmation {
  return {
    messageId: String(row["message_id"]),
    consumer: String(row["consumer"]),
    repeats: Number(row["repeats"]),
    bytes: Number(row["bytes"]),
    lateMs: Number(row["late_ms"] ?? 0),
  };
}

export function measuredConfirmations({ waiting, repeated, oldest_ms: oldestMs }: Row): MeasuredConfirmations {
  return {
    waiting: Number(waiting),
    repeated: Number(repeated),
    oldestMs: oldestMs === null ? null : Math.max(0, Math.round(Number(oldestMs))),
  };
}

/** One message for each id, in their order; several rows of one are alike but for the consumer. */
export function lockedCopies(ids: readonly string[], rows: readonly Row[]): LockedCopies {
  return {
    messages: storedMessages(ids, rows),
    locked: rows.map((row) => ({ messageId: String(row["message_id"]), consumer: String(row["consumer"]) })),
  };
}

function storedMessages(ids: readonly string[], rows: readonly Row[]): readonly StoredMessage[] {
  const byId = new Map(rows.map((row) => [String(row["message_id"]), row]));
  return ids.flatMap((messageId) => {
    const row = byId.get(messageId);
    if (row === undefined) return [];
    const textOf = (column: string): string | null => (typeof row[column] === "string" ? row[column] : null);
    const hex = textOf("payload_hex");
    return {
      messageId,
      type: String(row["type"]),
      topic: String(row["topic"]),
      key: textOf("key"),
      headers: textOf("headers"),
      payload: textOf("payload"),
      payloadBytes: hex === null ? null : Buffer.from(hex, "hex"),
      fingerprint: null,
    };
  });
}
