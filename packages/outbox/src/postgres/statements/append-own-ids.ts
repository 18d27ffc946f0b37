import type { Identifier } from "@waybill/sql";

/**
 * Appends `count` messages, of which some have an id that the caller chose: such an id is claimed first, and only a message whose
 * claim succeeded gets a row. No unique violation is raised, so the transaction stays usable. Claims go by id, whatever the order
 * of the messages, so that two callers with the same ids wait for each other instead of running into a deadlock; rows go in the order given.
 *
 * $1 … $8 message id, type, topic, key, headers, payload, payload_bytes, fingerprint of the first message – the fingerprint null
 * if we made its id – $9 … of the next, and so on. Served by the primary key of the ids' table.
 *
 * Answers the ids that had been claimed before, each with the fingerprint found – null if its transaction committed after this
 * statement began: then `find-own-id.ts` sees it. No row: everything was appended.
 */
export const appendOwnIds = (outbox: Identifier, ids: Identifier, count: number): string => `
  with given (ordinal, message_id, type, topic, key, headers, payload, payload_bytes, fingerprint) as (
    values ${Array.from({ length: count }, (_, index) => rowOf(index)).join(",\n      ")}
  ),
  claimed as (
    insert into ${ids} (message_id, fingerprint)
    select message_id, fingerprint
    from given
    where fingerprint is not null
    order by message_id
    on conflict (message_id) do nothing
    returning message_id
  ),
  appended as (
    insert into ${outbox} (message_id, type, topic, key, headers, payload, payload_bytes)
    select message_id, type, topic, key, headers, payload, payload_bytes
    from given
    where fingerprint is null
      or message_id in (select message_id from claimed)
    order by ordinal
  )
  select given.message_id, before.fingerprint
  from given
  left join ${ids} as before on before.message_id = given.message_id
  where given.fingerprint is not null
    and given.message_id not in (select message_id from claimed)
  order by given.ordinal`;

function rowOf(index: number): string {
  const place = (position: number): string => `$${index * 8 + position}`;
  const texts = [2, 3, 4, 5, 6].map((position) => `${place(position)}::text`).join(", ");
  return `(${index}, ${place(1)}::uuid, ${texts}, ${place(7)}::bytea, ${place(8)}::text)`;
}
