/**
 * The columns of a row that is read, in the order in which `ledger-row.ts` takes them apart: id, message_id, type, topic, key,
 * headers, created_at, payload, payload_bytes, and the size of a payload that stays in the database. In two forms, see `row-forms.ts`: `text`, with
 * milliseconds since 1970 and bytes in hex, and `binary`, where both are as they are stored.
 *
 * octet_length does not unpack a large value that lies beside the table, so what is left there costs nothing. encode() is hex
 * whatever `bytea_output` says. date_part makes a double, which holds microseconds until the year 2255 and costs half of a numeric.
 * Times are kept within the years 0 to 9999, those of CloudEvents: `infinity` has no bigint, and one such row would end every read.
 */
export type ColumnForm = "text" | "binary";

const envelope: Readonly<Record<ColumnForm, string>> = {
  text: `id, message_id, type, topic, key, headers,
    least(greatest(date_part('epoch', created_at) * 1000, -62167219200000), 253402300799999)::bigint as created_ms`,
  binary: "id, message_id, type, topic, key, headers, created_at",
};
const payloadBytes: Readonly<Record<ColumnForm, string>> = { text: "encode(payload_bytes, 'hex')", binary: "payload_bytes" };

/** Payloads above 16 384 bytes (`payloadBytesInlineMax`) are left behind, and their size is told instead. */
export const inlineRow = (form: ColumnForm): string => `${envelope[form]},
    case when octet_length(payload) <= 16384 then payload end as payload,
    case when octet_length(payload_bytes) <= 16384 then ${payloadBytes[form]} end as payload_bytes,
    case when coalesce(octet_length(payload), octet_length(payload_bytes)) > 16384
      then coalesce(octet_length(payload), octet_length(payload_bytes)) end as left_bytes`;

/** Payloads whole, whatever they weigh. */
export const wholeRow = (form: ColumnForm): string =>
  `${envelope[form]}, payload, ${payloadBytes[form]} as payload_bytes, null as left_bytes`;
