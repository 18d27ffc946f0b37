import type { Identifier } from "@waybill/sql";

/**
 * Which of the sequences $3 have a copy in the spill of subscription $2 of stream $1, and which of the lanes $4, given as hex.
 *
 * Answers a row per copy of the sequences (sequence and message_id set), and a row per lane that has one (place set: which of the lanes, from 1). One probe of
 * an index for each.
 */
export const findSpilled = (spill: Identifier): string => `
  select copied.sequence::text as sequence, copied.message_id::text as message_id, null as place
  from unnest($3::bigint[]) as asked (sequence)
  join ${spill} as copied on copied.stream = $1 and copied.subscription = $2 and copied.sequence = asked.sequence
  union all
  select null, null, lane.place::text
  from unnest($4::text[]) with ordinality as lane (digest, place)
  where exists (
          select from ${spill} as copied
          where copied.stream = $1 and copied.subscription = $2
            and copied.lane = decode(lane.digest, 'hex')
        )`;
