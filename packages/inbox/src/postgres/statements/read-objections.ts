import type { Identifier } from "@waybill/sql";

/**
 * What speaks against messages of consumer $1, right after `claim-all.ts` in the same transaction: $2 a JSON array of objects with message_id,
 * fingerprint, topic and key of the lane, or neither, and created_at_ms, or none · $3 true: they wait behind any open dead letter of their
 * lane, false: behind one without a reason, or that its handler holds, only · $4 retention in ms.
 *
 * Answers the messages that something speaks against: is_filed_same: null without a dead letter of this id, in any state; true: one has the same
 * content, false: none has · must_wait · too_old. No row: nothing does.
 *
 * The rows are ours or committed, and this is a snapshot of its own: whatever another unit did to a message is seen. Served by two indexes of the
 * dead letters, in whose order the lane is asked for, so that no other is taken for it while the table is empty.
 */
export const readObjections = (letters: Identifier): string => `
  with found as materialized (
    select given.message_id,
           (
             select bool_or(letter.fingerprint is not distinct from given.fingerprint)
             from ${letters} as letter
             where letter.origin = 'inbox' and letter.reader = $1 and letter.message_id = given.message_id
           ) as is_filed_same,
           given.key is not null and (
             select true
             from ${letters} as letter
             where letter.origin = 'inbox' and letter.reader = $1
               and left(letter.topic, 249) = left(given.topic, 249) and letter.topic = given.topic
               and left(letter.key, 255) = left(given.key, 255) and letter.key = given.key
               and letter.state in ('dead', 'held', 'released')
               and ($3::boolean or letter.reason is null or left(letter.reason, 5) = 'held:')
             order by letter.sequence, letter.position
             limit 1
           ) is not null as must_wait,
           coalesce(given.created_at_ms < extract(epoch from clock_timestamp()) * 1000 - $4::double precision, false) as too_old
    from json_to_recordset($2::json)
      as given (message_id text, fingerprint text, topic text, key text, created_at_ms double precision)
  )
  select message_id, is_filed_same, must_wait, too_old
  from found
  where is_filed_same is not null or must_wait or too_old`;
