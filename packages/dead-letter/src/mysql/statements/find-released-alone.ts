import type { Identifier } from "@waybill/sql";

/**
 * Released messages without key of origin ?1 and reader ?2, by their places: each is a lane of its own.
 *
 * ?3, ?4, ?5 the sequence to go on after, or null three times from the beginning · ?6, ?7, ?8, ?9 the primary key of the row to go on after ·
 * ?10 the most rows. Fewer: no more. Served by the index on state, in whose order they are asked for.
 */
export const findReleasedAlone = (letters: Identifier): string => `
  select topic, \`key\`, sequence, convert(message_id using utf8mb4) as message_id
  from ${letters} as letter force index (state)
  where letter.origin = ? and letter.reader = ?
    and letter.state = 'released'
    and letter.open_lane is null
    and (? is null
         or letter.sequence > cast(? as signed)
         or (letter.sequence = cast(? as signed) and letter.position > (
              select position
              from ${letters}
              where origin = ? and reader = ?
                and sequence = cast(? as signed) and message_id = ?)))
  order by letter.origin, letter.reader, letter.state, letter.open_lane, letter.sequence, letter.position
  limit ?`;
