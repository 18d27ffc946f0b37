import type { Identifier } from "@waybill/sql";

/**
 * Inserts copies of messages for reader $2 of origin $1.
 *
 * $3 a JSON array of rows, in their order: one parameter, because arrays cannot carry null here. Text that JSON cannot carry does not
 * reach this: it came out of a text column, or was checked when it was received. Bytes travel as hex.
 *
 * A row that is already there is left as it is, so that writing the same dead letter twice – after a crash, or by a reader that was
 * replaced – changes nothing. Served by the primary key. Answers no row.
 */
export const insertDeadLetters = (letters: Identifier): string => `
  insert into ${letters}
    (origin, reader, sequence, message_id, type, topic, key, headers, payload, payload_bytes,
     created_at, state, reason, fingerprint, attempts, may_be_stored)
  select $1, $2, given.sequence, given.message_id, given.type, given.topic, given.key, given.headers, given.payload,
         decode(given.payload_hex, 'hex'),
         to_timestamp(given.created_at_ms / 1000),
         case when given.reason is null then 'held' else 'dead' end,
         given.reason, given.fingerprint, given.attempts, given.may_be_stored
  from rows from (json_to_recordset($3::json) as (
         sequence bigint, message_id text, type text, topic text, key text, headers text, payload text, payload_hex text,
         created_at_ms double precision, reason text, fingerprint text, attempts integer, may_be_stored boolean
       )) with ordinality as given (
         sequence, message_id, type, topic, key, headers, payload, payload_hex,
         created_at_ms, reason, fingerprint, attempts, may_be_stored, place
       )
  order by given.place
  on conflict (origin, reader, sequence, message_id) do nothing`;
