import type { Identifier } from "@waybill/sql";

/** Where the messages of $1, a JSON array of producer and id, go: in the order of their deliveries, without payloads. */
export const readRouted = (bodies: Identifier): string => `
  select b.producer, b.id, b.ordinal, b.message_id, b.key, b.business_key, b.delay_ms, b.destinations
  from json_to_recordset($1::json) as k (producer text collate "C", id text collate "C")
  cross join lateral (
    select *
    from ${bodies}
    where producer = k.producer and id = k.id
    offset 0 -- key by key: without statistics the server would rather read the whole table
  ) b
  order by b.producer, b.id, b.ordinal`;
