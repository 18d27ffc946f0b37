import type { Identifier } from "@waybill/sql";

/**
 * At most $6 notifications of receiver $1 after seq $5, in its order; with business key $2, message id $3, in state $4, where these are not null.
 * Served by the indexes on the receiver.
 */
export const searchNotifications = (deliveries: Identifier): string => `
  select seq, code, producer, id, message_id, destination, receiver, business_key, state, ack_mode, attempts, redeliveries, last_outcome, last_error, dead_reason,
         acked_by,
         (extract(epoch from coalesce(due_at, not_before)) * 1000)::float8 as due_at_ms,
         (extract(epoch from created_at) * 1000)::float8 as created_at_ms,
         (extract(epoch from last_at) * 1000)::float8 as last_at_ms,
         (extract(epoch from acked_at) * 1000)::float8 as acked_at_ms,
         (extract(epoch from dead_at) * 1000)::float8 as dead_at_ms
  from ${deliveries}
  where receiver = $1
    and ($2::text is null or business_key = $2)
    and ($3::text is null or message_id = $3)
    and ($4::text is null or state = $4)
    and seq > $5
  order by seq
  limit $6`;
