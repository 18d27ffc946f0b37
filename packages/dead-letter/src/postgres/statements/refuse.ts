import type { Identifier } from "@waybill/sql";

/**
 * released → dead, once more, for the row of reader $2 of origin $1 with sequence $3 and message id $4; what was released behind it
 * only because it stood behind it (no reason of its own) is held again.
 *
 * $5 reason · $6 attempts since the release · $7 1 if one of them ended unknown, else 0.
 *
 * No row: it was not released any more, and nothing was changed. Served by the primary key, then by the index of open rows.
 */
export const refuseDeadLetter = (letters: Identifier): string => `
  with refused as (
    update ${letters}
    set state         = 'dead',
        reason        = $5,
        attempts      = attempts + $6,
        may_be_stored = may_be_stored or $7 = 1,
        given_up_at   = clock_timestamp()
    where origin = $1 and reader = $2
      and sequence = $3 and message_id = $4
      and state = 'released'
    returning topic, key, sequence, position
  ),
  held_again as (
    update ${letters} as letter
    set state = 'held'
    from refused
    where letter.origin = $1 and letter.reader = $2
      and left(letter.topic, 249) = left(refused.topic, 249) and letter.topic = refused.topic
      and left(letter.key, 255) = left(refused.key, 255) and letter.key = refused.key
      and (letter.sequence, letter.position) > (refused.sequence, refused.position)
      and letter.state = 'released'
      and letter.reason is null
  )
  select 1 as refused from refused`;
