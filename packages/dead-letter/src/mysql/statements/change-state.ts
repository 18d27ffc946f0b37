import type { Identifier } from "@waybill/sql";

/**
 * Sets rows to state ?2 = ?3, comparing their old state: one of ?4 and ?5.
 *
 * ?1 a JSON array of positions. The count says how many were still in an old state; each of them changes, so it cannot be wrong. Served by
 * the index on position: no row but these is looked at, so nobody waits for a row that is not meant.
 */
export const changeState = (letters: Identifier): string => `
  update json_table(?, '$[*]' columns (position bigint path '$')) as chosen
  straight_join ${letters} as letter force index (position) on letter.position = chosen.position
  set letter.state      = ?,
      letter.decided_at = case when ? = 'discarded' then utc_timestamp(6) end
  where letter.state in (?, ?)`;
