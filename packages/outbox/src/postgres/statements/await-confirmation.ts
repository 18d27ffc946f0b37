import type { Identifier } from "@waybill/sql";

/**
 * Keeps copies of `count` messages until a consumer confirms them.
 *
 * $1 consumer · $2 stream · $3 milliseconds that it has · $4 … $10 message id, type, topic, key, headers, payload, payload_bytes of the first message,
 * $11 … of the next, and so on.
 */
export const awaitConfirmation = (confirmations: Identifier, count: number): string => `
  insert into ${confirmations} (consumer, stream, within_ms, due_at, message_id, type, topic, key, headers, payload, payload_bytes)
  select $1::text, $2::text, $3::float8::bigint, statement_timestamp() + $3::float8 * interval '1 millisecond', given.*
  from (values ${Array.from({ length: count }, (_, index) => rowOf(index * 7 + 3)).join(",\n    ")}) as given`;

function rowOf(before: number): string {
  const place = (position: number): string => `$${before + position}`;
  const texts = [2, 3, 4, 5, 6].map((position) => `${place(position)}::text`).join(", ");
  return `(${place(1)}::uuid, ${texts}, ${place(7)}::bytea)`;
}
