import type { Identifier } from "@waybill/sql";

/**
 * Takes the right to do upkeep on stream $1, to the end of the transaction. One row: up to which id history was removed, as text. No row: somebody
 * else has the right, or there is no such stream.
 */
export const lockStream = (stream: Identifier): string => `
  select removed_to::text as removed_to
  from ${stream}
  where name = $1
  for update skip locked`;
