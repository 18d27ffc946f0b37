import type { Identifier } from "@waybill/sql";
import { standingColumns } from "./standing-columns.ts";

/**
 * Inserts the half messages of $1, a JSON array of objects, that are not there, with those of the messages of $2, a JSON array of objects with payloads in base64,
 * that belong to them, and answers them as they stand; waits for whoever is just inserting the same. Served by the primary key. What was there is not answered.
 */
export const insertHalfMessages = (halfMessages: Identifier, bodies: Identifier): string => `
  with fresh as (
    insert into ${halfMessages} as h (
      producer, id, fingerprint, message_count, prepare_token, barrier, order_key, order_open, traceparent, prepared_by, suspend_at, check_at)
    select n.producer, n.id, decode(n.fingerprint, 'hex'), n.message_count, n.prepare_token, n.barrier, n.order_key,
           case when n.order_key is not null then 1 end, n.traceparent, n.prepared_by,
           clock_timestamp() + n.suspend_after_ms * interval '1 millisecond',
           clock_timestamp() + n.check_after_ms * interval '1 millisecond'
    from json_to_recordset($1::json) as n (
      producer text collate "C", id text collate "C", fingerprint text, message_count smallint, prepare_token bigint, barrier uuid,
      order_key text, traceparent text, prepared_by text, suspend_after_ms float8, check_after_ms float8)
    order by n.producer, n.id
    on conflict do nothing
    returning ${standingColumns}
  ),
  stored as (
    insert into ${bodies} (
      producer, id, ordinal, message_id, type, topic, key, business_key, delay_ms, headers, payload, destinations)
    select n.producer, n.id, n.ordinal, n.message_id, n.type, n.topic, n.key, n.business_key, n.delay_ms, n.headers, decode(n.payload, 'base64'),
           n.destinations
    from fresh
    join json_to_recordset($2::json) as n (
      producer text collate "C", id text collate "C", ordinal smallint, message_id text, type text, topic text, key text, business_key text,
      delay_ms bigint, headers text, payload text, destinations text) on n.producer = fresh.producer and n.id = fresh.id
  )
  select * from fresh`;
