import type { Identifier } from "@waybill/sql";

/**
 * What was released behind a row only because it stood behind it (no reason of its own): positions, at most ?5, not locked.
 *
 * ?1, ?2, ?3, ?4 origin, reader, sequence and message id of the row. No row: nothing of its lane, or it has no key. Served by the primary
 * key, then by the index on state, so that what is held in the lane is not read.
 */
export const findBehind = (letters: Identifier): string => `
  select straight_join letter.position
  from ${letters} as refused
  join ${letters} as letter force index (state)
    on letter.origin = refused.origin and letter.reader = refused.reader
   and letter.state = 'released'
   and letter.open_lane = refused.open_lane
   and (letter.sequence > refused.sequence or (letter.sequence = refused.sequence and letter.position > refused.position))
  where refused.origin = ? and refused.reader = ?
    and refused.sequence = cast(? as signed) and refused.message_id = ?
    and letter.reason is null
  order by letter.sequence, letter.position
  limit ?`;
