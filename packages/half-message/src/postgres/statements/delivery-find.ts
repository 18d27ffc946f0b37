import type { Identifier } from "@waybill/sql";

/** The deliveries $1 (seqs) as they stand, in the order of seq; nothing is locked. Served by the primary key. */
export const findDeliveries = (deliveries: Identifier): string => `
  select seq, code, producer, id, ordinal, message_id, destination, receiver, business_key, lane, open_lane, state, ack_mode, attempts, redeliveries
  from ${deliveries}
  where seq = any ($1::bigint[])
  order by seq`;
