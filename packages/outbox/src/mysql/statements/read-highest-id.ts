import type { Identifier } from "@waybill/sql";

/**
 * The highest id that can be seen, or up to which history was removed. stream. One row; reads the end of the primary key.
 *
 * The counter itself is not asked: the session's memory of it may be a day old, and setting that costs a statement.
 */
export const readHighestId = (outbox: Identifier, streams: Identifier): string => `
  select greatest(
    coalesce((select max(id) from ${outbox}), 0),
    coalesce((select removed_to from ${streams} where name = ?), 0)
  )`;
