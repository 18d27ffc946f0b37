import type { Identifier } from "@waybill/sql";

/** The bytes of the message of delivery $1. No row: it was purged. Served by primary keys. */
export const readDeliveryPayload = (deliveries: Identifier, bodies: Identifier): string => `
  select body.payload
  from ${deliveries} as delivery
  join ${bodies} as body on body.producer = delivery.producer and body.id = delivery.id and body.ordinal = delivery.ordinal
  where delivery.seq = $1`;
