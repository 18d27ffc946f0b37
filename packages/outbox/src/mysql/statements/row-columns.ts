/**
 * The columns of a row that is read, in the order in which `ledger-row.ts` takes them apart: id, message_id, type, topic, key,
 * headers, milliseconds since 1970, payload, payload_bytes as they are, and the size of a payload that stays in the database.
 *
 * A zero date, which a writer in a lax mode may have stored, has no distance from 1970 and counts as the first of all times: one such
 * row must not end every read.
 */
export const createdMs = "coalesce(timestampdiff(microsecond, '1970-01-01', created_at) div 1000, -62167219200000)";

const envelope = `id, message_id, type, topic, \`key\`, headers, ${createdMs} as created_ms`;

/** Payloads above 16 384 bytes (`payloadBytesInlineMax`) are left behind, and their size is told instead. */
export const inlineRow: string = `${envelope},
    case when octet_length(payload) <= 16384 then payload end as payload,
    case when octet_length(payload_bytes) <= 16384 then payload_bytes end as payload_bytes,
    case when coalesce(octet_length(payload), octet_length(payload_bytes)) > 16384
      then coalesce(octet_length(payload), octet_length(payload_bytes)) end as left_bytes`;

/** Payloads whole, whatever they weigh. */
export const wholeRow: string = `${envelope}, payload, payload_bytes, null as left_bytes`;
