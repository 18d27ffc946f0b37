import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** How many bytes the messages of `rows` deliveries have, by seq. One whose body was purged is missing. Served by primary keys. */
export const deliverySizes = (deliveries: Identifier, bodies: Identifier, rows: number): string => `
  select delivery.seq, octet_length(body.payload) + octet_length(body.headers) as bytes
  from ${deliveries} as delivery
  join ${bodies} as body on body.producer = delivery.producer and body.id = delivery.id and body.ordinal = delivery.ordinal
  where delivery.seq in (${repeated("?", rows, ", ")})`;
