import type { Identifier } from "@waybill/sql";

/**
 * Appends `count` messages, in the order in which they are given: PostgreSQL hands out ids row by row.
 *
 * $1 … $7 message id, type, topic, key, headers, payload, payload_bytes of the first message; $8 … of the next, and so on. Without
 * RETURNING, which would need more rights than to insert. The casts are for drivers that send every text as `text`.
 */
export const append = (outbox: Identifier, count: number): string => `
  insert into ${outbox} (message_id, type, topic, key, headers, payload, payload_bytes)
  values ${Array.from({ length: count }, (_, index) => rowOf(index * 7)).join(",\n    ")}`;

/** The same for one message of text, $1 … $6: it is the most usual one, and a value less to send costs a little less. */
export const appendText = (outbox: Identifier): string => `
  insert into ${outbox} (message_id, type, topic, key, headers, payload)
  values ($1::uuid, $2, $3, $4, $5, $6)`;

function rowOf(before: number): string {
  const place = (position: number): string => `$${before + position}`;
  return `(${place(1)}::uuid, ${place(2)}, ${place(3)}, ${place(4)}, ${place(5)}, ${place(6)}, ${place(7)}::bytea)`;
}
