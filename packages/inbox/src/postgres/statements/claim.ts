import type { Identifier } from "@waybill/sql";

/**
 * What consumer $1 knows about message $2, and its row if nothing speaks against it: one statement, so one round trip and one snapshot.
 *
 * $3 fingerprint · $4, $5 topic and key of its lane, or null · $6 true: it waits behind any open dead letter of its lane, false: behind
 * one without a reason, or that its handler holds, only · $7 when it was created in ms since 1970, or null · $8 retention in ms.
 *
 * Always one row: known_print, if it was handled · is_filed_same: null without a dead letter of this id, in any state; true: one has the
 * same content, false: none has · must_wait · too_old · is_new: the row was inserted. A unit that inserts the same row is waited for; if it
 * commits, is_new is false and known_print, read from the earlier snapshot, may still be null: read it again. If it has put the message aside
 * its row is gone, ours is new, and the snapshot knows no dead letter: has_waited says that this took longer than it ever does alone, look again.
 *
 * Served by the primary key and by two indexes of the dead letters; the order asked of the lane is that of its index, so that no other is
 * taken for it while the table is empty.
 */
export const claimMessage = (inbox: Identifier, letters: Identifier): string => `
  with known as materialized (
    select (select fingerprint from ${inbox} where consumer = $1 and message_id = $2) as known_print,
           (
             select bool_or(fingerprint is not distinct from $3)
             from ${letters}
             where origin = 'inbox' and reader = $1 and message_id = $2
           ) as is_filed_same,
           $5::text is not null and (
             select true
             from ${letters}
             where origin = 'inbox' and reader = $1
               and left(topic, 249) = left($4, 249) and topic = $4
               and left(key, 255) = left($5, 255) and key = $5
               and state in ('dead', 'held', 'released')
               and ($6::boolean or reason is null or left(reason, 5) = 'held:')
             order by sequence, position
             limit 1
           ) is not null as must_wait,
           coalesce($7::double precision < extract(epoch from clock_timestamp()) * 1000 - $8::double precision, false) as too_old
  ),
  inserted as (
    insert into ${inbox} (consumer, message_id, fingerprint)
    select $1, $2, $3
    from known
    where known_print is null and is_filed_same is null and not must_wait and not too_old
    on conflict (consumer, message_id) do nothing
    returning 1
  )
  select known.*, exists (select from inserted) as is_new,
         clock_timestamp() - statement_timestamp() > interval '1 millisecond' as has_waited
  from known`;
