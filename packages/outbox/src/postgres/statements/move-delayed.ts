import type { Identifier } from "@waybill/sql";

/**
 * Moves the waiting messages with the ids $1, which are locked, into the ledger, in the order in which they are due: PostgreSQL hands out
 * ids row by row. Writes as many rows as there are ids.
 */
export const moveDelayed = (delayed: Identifier, outbox: Identifier): string => `
  with due as (
    delete from ${delayed}
    where id = any ($1::bigint[])
    returning id, due_at, message_id, type, topic, key, headers, payload, payload_bytes
  )
  insert into ${outbox} (message_id, type, topic, key, headers, payload, payload_bytes)
  select message_id, type, topic, key, headers, payload, payload_bytes
  from due
  order by due_at, id`;
