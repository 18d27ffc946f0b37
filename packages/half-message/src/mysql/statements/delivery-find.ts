import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/** `rows` deliveries as they stand, by seq, in its order; nothing is locked. Served by the primary key. */
export const findDeliveries = (deliveries: Identifier, rows: number): string => `
  select seq, code, producer, id, ordinal, message_id, destination, receiver, business_key, lane, open_lane, state, ack_mode, attempts, redeliveries
  from ${deliveries}
  where seq in (${repeated("?", rows, ", ")})
  order by seq`;
