import type { Identifier } from "@waybill/sql";

/**
 * Locks the waiting messages with the ids $1, those of them that nobody is cancelling, to the end of the transaction: never waits. One row for each
 * that is ours now. Served by the primary key.
 */
export const lockDelayed = (delayed: Identifier): string => `
  select id::text as id
  from ${delayed}
  where id = any ($1::bigint[])
  order by id
  for update skip locked`;
