import type { Identifier } from "@waybill/sql";

/**
 * Inserts the half messages of $1, a JSON array of objects, as decided already, where there are none; waits for whoever is just inserting the
 * same. $2: milliseconds until their bodies may go. Which rows are ours is read afterwards, by the token.
 */
export const insertDecided = (halfMessages: Identifier): string => `
  insert into ${halfMessages} (
    producer, id, state, fingerprint, message_count, prepare_token, barrier, order_key, traceparent, prepared_by, decided_at, decided_by, purge_at)
  select n.producer, n.id, n.state, decode(n.fingerprint, 'hex'), n.message_count, n.prepare_token, n.barrier, n.order_key, n.traceparent,
         n.prepared_by, clock_timestamp(), n.actor, clock_timestamp() + $2::float8 * interval '1 millisecond'
  from json_to_recordset($1::json) as n (
    producer text collate "C", id text collate "C", state text, fingerprint text, message_count smallint, prepare_token bigint, barrier uuid,
    order_key text, traceparent text, prepared_by text, actor text)
  order by n.producer, n.id
  on conflict do nothing`;
