import type { Identifier } from "@waybill/sql";

/**
 * Looks messages and lanes of a reader up, with one probe of an index for each.
 *
 * ?1 a JSON array of sequences · ?2, ?3 origin and reader · then for the lanes: ?4, ?5 origin and reader · ?6 a JSON array of digests, as hex ·
 * ?7, ?8 origin and reader.
 *
 * Answers each row of a sequence in any state (sequence and message_id set: ids that went back are given to other messages), and a row per lane that has an open one (place set: which of the
 * digests, from 1; has_held: one of its open rows has no reason). No row: nothing is known about any of them.
 */
export const lookUpDeadLetters = (letters: Identifier): string => `
  select letter.sequence, letter.message_id, null as place, 0 as has_held
  from json_table(?, '$[*]' columns (sequence bigint path '$')) as asked
  straight_join ${letters} as letter force index (primary)
    on letter.origin = ? and letter.reader = ?
   and letter.sequence = asked.sequence
  union all
  select null, null, lane.place,
         (
          select 1
          from ${letters} as letter force index (lane)
          where letter.origin = ? and letter.reader = ?
            and letter.open_lane = unhex(lane.digest)
            and letter.reason is null
          limit 1
        ) is not null
  from json_table(?, '$[*]' columns (place for ordinality, digest char(64) path '$')) as lane
  where (
          select 1
          from ${letters} as letter force index (lane)
          where letter.origin = ? and letter.reader = ?
            and letter.open_lane = unhex(lane.digest)
          limit 1
        ) is not null`;
