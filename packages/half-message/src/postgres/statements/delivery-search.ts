import type { Identifier } from "@waybill/sql";

/**
 * At most $4 deliveries after seq $3, in its order: of destination $1, or of all where it is null; in state $2, or in any. Goes through the rows in
 * their order: for operators, who look seldom.
 */
export const searchDeliveries = (deliveries: Identifier): string => `
  select seq, code, producer, id, message_id, destination, receiver, business_key, state, ack_mode, attempts, redeliveries, last_outcome, last_error, dead_reason,
         acked_by,
         (extract(epoch from coalesce(due_at, not_before)) * 1000)::float8 as due_at_ms,
         (extract(epoch from created_at) * 1000)::float8 as created_at_ms,
         (extract(epoch from last_at) * 1000)::float8 as last_at_ms,
         (extract(epoch from acked_at) * 1000)::float8 as acked_at_ms,
         (extract(epoch from dead_at) * 1000)::float8 as dead_at_ms
  from ${deliveries}
  where ($1::text is null or destination = $1) and ($2::text is null or state = $2) and seq > $3
  order by seq
  limit $4`;
