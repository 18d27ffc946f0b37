import type { Identifier } from "@waybill/sql";

/**
 * Locks rows until the unit ends, those that are in state ?2 or ?3 now: whoever changes one at the moment is waited for.
 *
 * ?1 a JSON array of positions. Answers the positions that are locked, ascending; one that is missing is in another state by now.
 * Served by the index on position. The list is a derived table with a limit because MySQL refuses to prepare FOR UPDATE over
 * JSON_TABLE itself (3569).
 */
export const lockInState = (letters: Identifier): string => `
  select straight_join letter.position
  from (select position from json_table(?, '$[*]' columns (position bigint path '$')) as listed limit 100000) as chosen
  join ${letters} as letter force index (position) on letter.position = chosen.position
  where letter.state in (?, ?)
  order by letter.position
  for update`;
