import type { Identifier } from "@waybill/sql";

/**
 * Which sequences have a copy in the spill of a subscription, and which lanes.
 *
 * a JSON array of sequences · stream · subscription · a JSON array of lanes, as hex · stream · subscription.
 *
 * Answers a row per copy of the sequences (sequence and message_id set), and a row per lane that has one (place set: which of the lanes, from 1). One probe of
 * an index for each.
 */
export const findSpilled = (spill: Identifier): string => `
  select straight_join copied.sequence, copied.message_id, null as place
  from json_table(?, '$[*]' columns (sequence bigint path '$')) as asked
  join ${spill} as copied force index (primary)
    on copied.stream = ? and copied.subscription = ? and copied.sequence = asked.sequence
  union all
  select null, null, lanes.place
  from json_table(?, '$[*]' columns (place for ordinality, digest varchar(128) path '$')) as lanes
  where (
          select 1
          from ${spill} as copied force index (lane)
          where copied.stream = ? and copied.subscription = ?
            and copied.lane = unhex(lanes.digest)
          limit 1
        ) is not null`;
