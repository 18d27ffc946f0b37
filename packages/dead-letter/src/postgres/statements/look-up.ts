import type { Identifier } from "@waybill/sql";

/**
 * Looks messages and lanes of reader $2 of origin $1 up, with one probe of an index for each.
 *
 * $3 sequences · $4, $5 topics and keys of lanes, pairwise.
 *
 * Answers each row of a sequence in any state (sequence and message_id set: ids that went back are given to other messages), and a row per lane that has an open one (topic and key set;
 * has_held: one of them has no reason). No row: nothing is known about any of them.
 */
export const lookUpDeadLetters = (letters: Identifier): string => `
  select found.sequence::text as sequence, found.message_id, null as topic, null as key, false as has_held
  from unnest($3::bigint[]) as asked (sequence)
  cross join lateral (
          select letter.sequence, letter.message_id
          from ${letters} as letter
          where letter.origin = $1 and letter.reader = $2
            and letter.sequence = asked.sequence
        ) as found
  union all
  select null, null, lane.topic, lane.key, open.has_held
  from unnest($4::text[], $5::text[]) as lane (topic, key)
  cross join lateral (
          select bool_or(letter.reason is null) as has_held
          from ${letters} as letter
          where letter.origin = $1 and letter.reader = $2
            and left(letter.topic, 249) = left(lane.topic, 249) and letter.topic = lane.topic
            and left(letter.key, 255) = left(lane.key, 255) and letter.key = lane.key
            and letter.state in ('dead', 'held', 'released')
        ) as open
  where open.has_held is not null`;
