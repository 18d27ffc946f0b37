import type { Identifier } from "@waybill/sql";

/** How many bytes the messages of the deliveries $1 (seqs) have, by seq. Reads no payload. One whose body was purged is missing. Served by primary keys. */
export const deliverySizes = (deliveries: Identifier, bodies: Identifier): string => `
  select delivery.seq, octet_length(body.payload) + octet_length(body.headers) as bytes
  from ${deliveries} as delivery
  join ${bodies} as body on body.producer = delivery.producer and body.id = delivery.id and body.ordinal = delivery.ordinal
  where delivery.seq = any ($1::bigint[])`;
