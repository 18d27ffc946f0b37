import type { Identifier } from "@waybill/sql";

/**
 * Waits until no other transaction holds one of `count` key locks, and holds them to the end of this one. ? ids of the rows, ascending, which is
 * the order in which they are locked. A statement of its own, before the insert: inside it, the id would be handed out while we wait.
 */
export const serialiseKey = (keyLocks: Identifier, count: number): string => `
  select id
  from ${keyLocks} force index (primary)
  where id in (${Array.from({ length: count }, () => "?").join(", ")})
  order by id
  for update`;
