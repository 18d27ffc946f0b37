import type { Identifier } from "@waybill/sql";

/**
 * Lanes of reader $2 of origin $1 whose first open row is not dead, at most $3: something was released or discarded there.
 *
 * $4, $5 topic and key of the lane to go on after, both '' from the beginning ($8 true), both null after a message without key · $6, $7
 * sequence and message id of that message; the lowest sequence and null before the first.
 *
 * Goes from lane to lane through the index of open rows, one probe each, instead of reading what is held in them. The index knows the
 * beginnings of topic and key only: where a beginning is cut off, several lanes may share it, and all open rows with it are read.
 * Messages without key are found in the index of released rows, whose order is asked for as it is, and come after. No row: nothing to do.
 */
export const findReleased = (letters: Identifier): string => `
  with recursive first as (
    (select topic, key, sequence, message_id, state, left(topic, 249) as topic_head, left(key, 255) as key_head
     from ${letters}
     where origin = $1 and reader = $2
       and (left(topic, 249), left(key, 255)) >= (left($4, 249), left($5, 255))
       and key is not null
       and state in ('dead', 'held', 'released')
     order by left(topic, 249), left(key, 255), sequence, position
     limit 1)
    union all
    select following.*
    from first
    cross join lateral (
      select letter.topic, letter.key, letter.sequence, letter.message_id, letter.state, left(letter.topic, 249), left(letter.key, 255)
      from ${letters} as letter
      where letter.origin = $1 and letter.reader = $2
        and (left(letter.topic, 249), left(letter.key, 255)) > (first.topic_head, first.key_head)
        and letter.key is not null
        and letter.state in ('dead', 'held', 'released')
      order by left(letter.topic, 249), left(letter.key, 255), letter.sequence, letter.position
      limit 1
    ) as following
  ),
  found as (
    (select lane.*, first.topic_head, first.key_head, false as is_single, null::bigint as position
     from first
     cross join lateral (
       select first.topic, first.key, first.sequence, first.message_id, first.state
       where length(first.topic_head) < 249 and length(first.key_head) < 255
       union all
       (select distinct on (letter.topic, letter.key) letter.topic, letter.key, letter.sequence, letter.message_id, letter.state
        from ${letters} as letter
        where (length(first.topic_head) = 249 or length(first.key_head) = 255)
          and letter.origin = $1 and letter.reader = $2
          and left(letter.topic, 249) = first.topic_head
          and left(letter.key, 255) = first.key_head
          and letter.state in ('dead', 'held', 'released')
        order by letter.topic, letter.key, letter.sequence, letter.position)
     ) as lane
     where lane.state <> 'dead'
       and ($8::boolean or (first.topic_head, first.key_head, lane.topic, lane.key) > (left($4, 249), left($5, 255), $4, $5))
     limit $3)
    union all
    (select topic, key, sequence, message_id, state, null, null, true, position
     from ${letters}
     where origin = $1 and reader = $2
       and left(key, 255) is null
       and state = 'released'
       and (sequence, position) > (
         $6,
         case
           when $7::text is null then 0
           else (select position from ${letters} where origin = $1 and reader = $2 and sequence = $6 and message_id = $7)
         end
       )
     order by left(key, 255), sequence, position
     limit $3)
  )
  select topic, key, sequence::text as sequence, message_id
  from found
  order by is_single, topic_head, key_head, case when not is_single then topic end, key, found.sequence, position
  limit $3`;
