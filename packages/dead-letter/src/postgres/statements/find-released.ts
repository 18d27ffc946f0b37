import type { Identifier } from "@waybill/sql";

/**
 * Lanes of reader $2 of origin $1 whose first open row is not dead, at most $3: something was released or discarded there.
 *
 * Goes from lane to lane through the index of open rows, one probe each, instead of reading what is held in them. Messages without
 * key are found in the index of released rows and come after, by sequence. No row: nothing to do.
 */
export const findReleased = (letters: Identifier): string => `
  with recursive lane as (
    (select topic, key, sequence, state, left(topic, 249) as topic_head, left(key, 255) as key_head
     from ${letters}
     where origin = $1 and reader = $2
       and key is not null
       and state in ('dead', 'held', 'released')
     order by left(topic, 249), left(key, 255), sequence, position
     limit 1)
    union all
    select following.*
    from lane
    cross join lateral (
      select letter.topic, letter.key, letter.sequence, letter.state, left(letter.topic, 249), left(letter.key, 255)
      from ${letters} as letter
      where letter.origin = $1 and letter.reader = $2
        and (left(letter.topic, 249), left(letter.key, 255)) > (lane.topic_head, lane.key_head)
        and letter.key is not null
        and letter.state in ('dead', 'held', 'released')
      order by left(letter.topic, 249), left(letter.key, 255), letter.sequence, letter.position
      limit 1
    ) as following
  )
  (select topic, key, sequence::text as sequence
   from lane
   where state <> 'dead'
   limit $3)
  union all
  (select topic, key, sequence::text
   from ${letters}
   where origin = $1 and reader = $2
     and left(key, 255) is null
     and state = 'released'
   order by sequence, position
   limit $3)
  limit $3`;
