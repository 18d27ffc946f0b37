import type { Identifier } from "@waybill/sql";

/**
 * Locks rows until the unit ends, those that are dead and that nobody else is at. ?1 a JSON array of positions; answers those that are
 * locked, with their message ids, in the order of their places. Served by the index on position; see `lock-in-state.ts` on the limit.
 */
export const lockDead = (letters: Identifier): string => `
  select straight_join letter.position, convert(letter.message_id using utf8mb4) as message_id
  from (select position from json_table(?, '$[*]' columns (position bigint path '$')) as listed limit 100000) as chosen
  join ${letters} as letter force index (position) on letter.position = chosen.position
  where letter.state = 'dead'
  order by letter.sequence, letter.position
  for update skip locked`;
