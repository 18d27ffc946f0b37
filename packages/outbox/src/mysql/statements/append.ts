import type { Identifier } from "@waybill/sql";

/**
 * Appends `count` messages, in the order in which they are given: the server takes a run of ids for the whole list before the first row.
 *
 * ? message id, type, topic, key, headers, payload, payload_bytes of the first message, then of the next, and so on. A plain INSERT, and
 * nothing but one: `ignore`, `replace` and `on duplicate key update` would swallow the error of an id that a relay has fenced, and the message with it.
 */
export const append = (outbox: Identifier, count: number): string => `
  insert into ${outbox} (message_id, type, topic, \`key\`, headers, payload, payload_bytes)
  values ${Array.from({ length: count }, () => "(?, ?, ?, ?, ?, ?, ?)").join(",\n    ")}`;
