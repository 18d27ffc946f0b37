import type { Identifier } from "@waybill/sql";

/**
 * Locks the waiting messages with these ids, those of them that nobody is cancelling, to the end of the transaction: never waits. `ids` are whole
 * numbers and nothing else. One row for each that is ours now. Served by the primary key.
 */
export const lockDelayed = (delayed: Identifier, ids: readonly bigint[]): string => `
  select id
  from ${delayed} force index (primary)
  where id in (${ids.join(", ")})
  order by id
  for update skip locked`;
