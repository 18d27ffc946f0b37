import type { Identifier } from "@waybill/sql";

/** The deliveries $1 (seqs) with their messages, in the order of seq. Served by primary keys. One whose body was purged is missing. */
export const readDeliveries = (deliveries: Identifier, bodies: Identifier, halfMessages: Identifier): string => `
  select delivery.seq, delivery.code, delivery.producer, delivery.id, delivery.message_id, delivery.destination, delivery.receiver,
         delivery.business_key, delivery.state, delivery.ack_mode, delivery.open_lane, delivery.attempts, delivery.redeliveries,
         extract(epoch from delivery.give_up_at - now()) * 1000 as gives_up_in_ms,
         extract(epoch from now() - delivery.created_at) * 1000 - body.delay_ms as late_ms,
         body.type, body.topic, body.key, body.headers, body.payload,
         half.traceparent, half.order_key, floor(extract(epoch from half.prepared_at) * 1000) as prepared_at_ms
  from ${deliveries} as delivery
  join ${bodies} as body on body.producer = delivery.producer and body.id = delivery.id and body.ordinal = delivery.ordinal
  join ${halfMessages} as half on half.producer = delivery.producer and half.id = delivery.id
  where delivery.seq = any ($1::bigint[])
  order by delivery.seq`;
