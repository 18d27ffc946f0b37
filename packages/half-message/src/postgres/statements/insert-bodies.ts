import type { Identifier } from "@waybill/sql";

/** Inserts the messages of $1, a JSON array of objects with payloads in base64. Only who inserted the half message does so, and once. */
export const insertBodies = (bodies: Identifier): string => `
  insert into ${bodies} (
    producer, id, ordinal, message_id, type, topic, key, business_key, delay_ms, headers, payload, destinations)
  select n.producer, n.id, n.ordinal, n.message_id, n.type, n.topic, n.key, n.business_key, n.delay_ms, n.headers, decode(n.payload, 'base64'),
         n.destinations
  from json_to_recordset($1::json) as n (
    producer text, id text, ordinal smallint, message_id text, type text, topic text, key text, business_key text, delay_ms bigint,
    headers text, payload text, destinations text)`;
