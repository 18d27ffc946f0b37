import type { TableName } from "../../table-name.ts";

/**
 * The messages of committed half messages that one destination is to get, each with its delivery there, in the order of deliveries.
 *
 * The destination, twice. A delivery of null: the message was committed for nobody, which is a loss. No row: nothing was committed, or bodies were purged.
 */
export const readCommittedMessages = (halfMessages: TableName, bodies: TableName, deliveries: TableName): string => `
  select d.seq as sequence,
         d.state as delivery_state,
         b.message_id,
         b.type,
         b.topic,
         b.\`key\`,
         sha2(b.payload, 256) as digest
  from ${halfMessages} h
  join ${bodies} b on b.producer = h.producer and b.id = h.id
  left join ${deliveries} d on d.producer = b.producer and d.id = b.id and d.ordinal = b.ordinal and d.destination = ?
  where h.state = 'committed'
    and json_contains(b.destinations, json_quote(?))
  order by d.seq, b.message_id`;
