import type { Identifier } from "@waybill/sql";

/**
 * What the messages $1, an array of ids, carry: a row for each consumer that has not confirmed. Locks them, and leaves out those that somebody has. Bytes
 * as hex. Served by the primary key.
 */
export const readUnconfirmed = (confirmations: Identifier): string => `
  select message_id, consumer, type, topic, key, headers, payload, encode(payload_bytes, 'hex') as payload_hex
  from ${confirmations}
  where message_id = any ($1::uuid[])
  for update skip locked`;
