import type { Identifier } from "@waybill/sql";

/** The deliveries of a half message, by producer and id, oldest first, at most 1 000. Served by the index on both. */
export const listDeliveries = (deliveries: Identifier): string => `
  select seq, code, message_id, destination, receiver, state, attempts, redeliveries, last_error, dead_reason,
         (extract(epoch from coalesce(due_at, not_before)) * 1000)::float8 as due_at_ms,
         (extract(epoch from acked_at) * 1000)::float8 as acked_at_ms
  from ${deliveries}
  where producer = $1 and id = $2
  order by seq
  limit 1000`;
