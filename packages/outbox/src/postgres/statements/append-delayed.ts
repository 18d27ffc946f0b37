import type { Identifier } from "@waybill/sql";

/**
 * Stores `count` messages until they are due, claiming their ids: also the ones that we made, so that a message can be found by its id wherever it
 * lies. A claim counts from when the message is due, or from now if that is past; what else is said of claims in `append-own-ids.ts` holds here.
 *
 * $1 milliseconds since 1970 at which they are due, or null · $2 milliseconds from this statement on, or null · $3 … $10 message id, type,
 * topic, key, headers, payload, payload_bytes, fingerprint of the first message, $11 … of the next, and so on.
 *
 * Answers the ids that had been claimed before, each with the fingerprint found, or null. No row: everything was stored.
 */
export const appendDelayed = (delayed: Identifier, ids: Identifier, count: number): string => `
  with given (ordinal, message_id, type, topic, key, headers, payload, payload_bytes, fingerprint) as (
    values ${Array.from({ length: count }, (_, index) => rowOf(index)).join(",\n      ")}
  ),
  due (due_at) as (
    select coalesce(
      timestamptz 'epoch' + $1::float8 * interval '1 millisecond',
      statement_timestamp() + $2::float8 * interval '1 millisecond'
    )
  ),
  claimed as (
    insert into ${ids} (message_id, fingerprint, created_at)
    select message_id, fingerprint, greatest(due_at, statement_timestamp())
    from given, due
    order by message_id
    on conflict (message_id) do nothing
    returning message_id
  ),
  stored as (
    insert into ${delayed} (due_at, message_id, type, topic, key, headers, payload, payload_bytes)
    select due_at, message_id, type, topic, key, headers, payload, payload_bytes
    from given, due
    where message_id in (select message_id from claimed)
    order by ordinal
  )
  select given.message_id, before.fingerprint
  from given
  left join ${ids} as before on before.message_id = given.message_id
  where given.message_id not in (select message_id from claimed)
  order by given.ordinal`;

function rowOf(index: number): string {
  const place = (position: number): string => `$${index * 8 + position + 2}`;
  const texts = [2, 3, 4, 5, 6].map((position) => `${place(position)}::text`).join(", ");
  return `(${index}, ${place(1)}::uuid, ${texts}, ${place(7)}::bytea, ${place(8)}::text)`;
}
