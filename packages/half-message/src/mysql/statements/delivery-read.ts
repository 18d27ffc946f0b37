import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** `rows` deliveries with their messages, in the order of seq. Served by primary keys. One whose body was purged is missing. */
export const readDeliveries = (deliveries: Identifier, bodies: Identifier, halfMessages: Identifier, rows: number): string => `
  select delivery.seq, delivery.code, delivery.producer, delivery.id, delivery.message_id, delivery.destination, delivery.receiver,
         delivery.business_key, delivery.state, delivery.ack_mode, delivery.open_lane, delivery.attempts, delivery.redeliveries,
         timestampdiff(microsecond, utc_timestamp(6), delivery.give_up_at) / 1000 as gives_up_in_ms,
         timestampdiff(microsecond, delivery.created_at, utc_timestamp(6)) / 1000 - body.delay_ms as late_ms,
         body.type, body.topic, body.\`key\`, body.headers, body.payload,
         half.traceparent, half.order_key,
         floor(timestampdiff(microsecond, '1970-01-01', half.prepared_at) / 1000) as prepared_at_ms
  from ${deliveries} as delivery
  join ${bodies} as body on body.producer = delivery.producer and body.id = delivery.id and body.ordinal = delivery.ordinal
  join ${halfMessages} as half on half.producer = delivery.producer and half.id = delivery.id
  where delivery.seq in (${repeated("?", rows, ", ")})
  order by delivery.seq`;
