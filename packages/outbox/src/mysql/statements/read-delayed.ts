import type { Identifier } from "@waybill/sql";

/** Reads the waiting messages with these ids, which are locked, in the order in which they are due. `ids` are whole numbers and nothing else. Served by the primary key. */
export const readDelayed = (delayed: Identifier, ids: readonly bigint[]): string => `
  select message_id, type, topic, \`key\`, headers, payload, payload_bytes
  from ${delayed} force index (primary)
  where id in (${ids.join(", ")})
  order by due_at, id`;
