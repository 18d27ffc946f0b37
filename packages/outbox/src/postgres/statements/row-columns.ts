/**
 * The columns of a row that is read, in the order in which `ledger-row.ts` takes them apart: id, message_id, type, topic, key,
 * headers, milliseconds since 1970, payload, payload_bytes in hex, and the size of a payload that stays in the database.
 *
 * octet_length does not unpack a large value that lies beside the table, so what is left there costs nothing. encode() is hex
 * whatever `bytea_output` says. date_part makes a double, which holds microseconds until the year 2255 and costs half of a numeric.
 * Times are kept within the years 0 to 9999, those of CloudEvents: `infinity` has no bigint, and one such row would end every read.
 */
const envelope = `id, message_id, type, topic, key, headers,
    least(greatest(date_part('epoch', created_at) * 1000, -62167219200000), 253402300799999)::bigint as created_ms`;

/** Payloads above 16 384 bytes (`payloadBytesInlineMax`) are left behind, and their size is told instead. */
export const inlineRow: string = `${envelope},
    case when octet_length(payload) <= 16384 then payload end as payload,
    case when octet_length(payload_bytes) <= 16384 then encode(payload_bytes, 'hex') end as payload_hex,
    case when coalesce(octet_length(payload), octet_length(payload_bytes)) > 16384
      then coalesce(octet_length(payload), octet_length(payload_bytes)) end as left_bytes`;

/** Payloads whole, whatever they weigh. */
export const wholeRow: string = `${envelope}, payload, encode(payload_bytes, 'hex') as payload_hex, null as left_bytes`;
