import type { Identifier } from "@waybill/sql";

/**
 * Inserts copies of messages, as many rows as `rows` says, in their order.
 *
 * For each row: origin, reader, sequence, message id, type, topic, key, headers, payload, payload bytes, time of creation in microseconds
 * since 1970 or null, state, reason, fingerprint, attempts, 1 if it may be stored or else 0.
 *
 * A row that is already there is left as it is, so that writing the same dead letter twice – after a crash, or by a reader that was
 * replaced – changes nothing; `insert ignore` would also swallow values that do not fit. Served by the primary key. The count says nothing.
 */
export const insertDeadLetters = (letters: Identifier, rows: number): string => `
  insert into ${letters}
    (origin, reader, sequence, message_id, type, topic, \`key\`, headers, payload, payload_bytes,
     created_at, state, reason, fingerprint, attempts, may_be_stored)
  values ${Array.from({ length: rows }, () => row).join(", ")}
  on duplicate key update origin = origin`;

const row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, timestampadd(microsecond, cast(? as signed), '1970-01-01'), ?, ?, ?, ?, ?)";
