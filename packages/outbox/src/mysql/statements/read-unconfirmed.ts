import type { Identifier } from "@waybill/sql";

/**
 * What the messages with `count` ids carry: a row for each consumer that has not confirmed. Locks them, and leaves out those that somebody has. Bytes as
 * hex. Served by the primary key.
 */
export const readUnconfirmed = (confirmations: Identifier, count: number): string => `
  select message_id, consumer, type, topic, \`key\`, headers, payload, hex(payload_bytes) as payload_hex
  from ${confirmations} force index (primary)
  where message_id in (${Array.from({ length: count }, () => "?").join(", ")})
  for update skip locked`;
