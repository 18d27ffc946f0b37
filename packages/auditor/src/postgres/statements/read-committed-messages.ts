import type { TableName } from "../../table-name.ts";

/**
 * The messages of committed half messages that one destination is to get, each with its delivery there, in the order of deliveries.
 *
 * The destination. A delivery of null: the message was committed for nobody, which is a loss. No row: nothing was committed, or bodies were purged.
 */
export const readCommittedMessages = (halfMessages: TableName, bodies: TableName, deliveries: TableName): string => `
  select d.seq::text as sequence,
         d.state as delivery_state,
         b.message_id,
         b.type,
         b.topic,
         b.key,
         encode(sha256(b.payload), 'hex') as digest
  from ${halfMessages} h
  join ${bodies} b on b.producer = h.producer and b.id = h.id
  left join ${deliveries} d on d.producer = b.producer and d.id = b.id and d.ordinal = b.ordinal and d.destination = $1
  where h.state = 'committed'
    and b.destinations::jsonb ? $1
  order by d.seq nulls first, b.message_id`;
