import type { Identifier } from "@waybill/sql";

/**
 * Takes the open rows of a lane of reader $2 of origin $1 in their order, up to the first dead one, and sets the held ones among them to
 * released.
 *
 * $3 topic · $4 key, or null for the one message without key that $5 and $8 name · $5 its sequence · $6 the most rows · $7 the most bytes
 * of payload, beyond the first row · $8 its message id.
 *
 * Released rows are not locked: of several processes of one reader, one may be at them. Held rows are locked by their update, so a discard
 * that was quicker is waited for and seen, and one that comes later finds them released and is refused. The answer ends before a held
 * row that somebody else changed meanwhile, for whatever came of it stands before the rest; the next call tells.
 *
 * What is set to released is found by its place, up to the last row taken: a join would be quadratic in a plan made without statistics.
 * No row: the lane has no open row, or its first one is dead. Served by the index of open rows, or the primary key.
 */
export const takeReleased = (letters: Identifier): string => `
  with open as materialized (
    (select *
     from ${letters}
     where origin = $1 and reader = $2
       and left(topic, 249) = left($3, 249) and topic = $3
       and left(key, 255) = left($4, 255) and key = $4
       and state in ('dead', 'held', 'released')
     order by sequence, position
     limit $6)
    union all
    (select *
     from ${letters}
     where $4::text is null
       and origin = $1 and reader = $2
       and sequence = $5 and message_id = $8 and key is null
       and state = 'released')
  ),
  taken as materialized (
    select *
    from (
      select open.*,
             bool_or(state = 'dead') over up_to_here as is_behind_dead,
             sum(coalesce(octet_length(payload), octet_length(payload_bytes), 0)) over up_to_here as bytes,
             row_number() over up_to_here as place
      from open
      window up_to_here as (order by sequence, position)
    ) as weighed
    where not is_behind_dead
      and (place = 1 or bytes <= $7)
  ),
  released as (
    update ${letters}
    set state = 'released'
    where origin = $1 and reader = $2
      and left(topic, 249) = left($3, 249) and topic = $3
      and left(key, 255) = left($4, 255) and key = $4
      and (sequence, position) <= (select sequence, position from taken order by place desc limit 1)
      and state = 'held'
    returning position
  ),
  changed_meanwhile as (
    select min(place) as first_place
    from taken
    where state = 'held'
      and position not in (select position from released)
  )
  select sequence::text as sequence, message_id, type, topic, key, headers, payload,
         encode(payload_bytes, 'hex') as payload_hex,
         (extract(epoch from created_at) * 1000)::text as created_at_ms,
         reason, fingerprint, attempts::text as attempts,
         case when may_be_stored then 1 else 0 end as may_be_stored,
         (extract(epoch from given_up_at) * 1000)::text as given_up_at_ms
  from taken
  where place < coalesce((select first_place from changed_meanwhile), place + 1)
  order by place`;
