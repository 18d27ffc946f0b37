import type { Identifier } from "@waybill/sql";

/**
 * Looks messages and lanes of a reader up, with one probe of an index for each.
 *
 * ?1 a JSON array of sequences · ?2, ?3 origin and reader · then for the lanes: ?4, ?5 origin and reader · ?6 a JSON array of digests, as hex ·
 * ?7, ?8 origin and reader.
 *
 * Answers a row per sequence that has a row in any state (sequence set), and a row per lane that has an open one (place set: which of the
 * digests, from 1; has_held: one of its open rows has no reason). No row: nothing is known about any of them.
 */
export const lookUpDeadLetters = (letters: Identifier): string => `
  select asked.sequence, null as place, 0 as has_held
  from json_table(?, '$[*]' columns (sequence bigint path '$')) as asked
  where (
          select 1
          from ${letters} as letter force index (primary)
          where letter.origin = ? and letter.reader = ?
            and letter.sequence = asked.sequence
          limit 1
        ) is not null
  union all
  select null, lane.place,
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
