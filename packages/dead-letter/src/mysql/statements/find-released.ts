import type { Identifier } from "@waybill/sql";

/**
 * Lanes of origin ?1 and reader ?2 whose first open row is not dead: something was released or discarded there. ?3 the digest of the lane to
 * go on after, empty from the beginning · ?4, ?5 origin and reader again · ?6 the most lanes.
 *
 * Reads the lanes from the index alone and looks at the first row of each, in the order of their digests, which no other row can change. The
 * first row is asked for in the whole order of the index, or MySQL sorts.
 * Fewer than ?6: no more lanes with a key; see `find-released-alone.ts`.
 */
export const findReleased = (letters: Identifier): string => `
  select straight_join letter.topic, letter.\`key\`, letter.sequence, convert(letter.message_id using utf8mb4) as message_id
  from (
    select distinct open_lane
    from ${letters} force index (lane)
    where origin = ? and reader = ?
      and open_lane > ?
  ) as found
  join ${letters} as letter force index (position) on letter.position = (
    select first.position
    from ${letters} as first force index (lane)
    where first.origin = ? and first.reader = ?
      and first.open_lane = found.open_lane
    order by first.origin, first.reader, first.open_lane, first.sequence, first.position
    limit 1
  )
  where letter.state <> 'dead'
  order by found.open_lane
  limit ?`;
