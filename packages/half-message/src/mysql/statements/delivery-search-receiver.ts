import type { Identifier } from "@waybill/sql";

/**
 * At most `limit` notifications of receiver ?1 after seq ?8, in its order; with business key ?2, ?3, message id ?4, ?5, in state ?6, ?7, where these are
 * not null. Served by the indexes on the receiver.
 */
export const searchNotifications = (deliveries: Identifier, limit: number): string => `
  select seq, code, producer, id, message_id, destination, receiver, business_key, state, ack_mode, attempts, redeliveries, last_outcome, last_error, dead_reason,
         acked_by,
         timestampdiff(microsecond, '1970-01-01', coalesce(due_at, not_before)) / 1000 as due_at_ms,
         timestampdiff(microsecond, '1970-01-01', created_at) / 1000 as created_at_ms,
         timestampdiff(microsecond, '1970-01-01', last_at) / 1000 as last_at_ms,
         timestampdiff(microsecond, '1970-01-01', acked_at) / 1000 as acked_at_ms,
         timestampdiff(microsecond, '1970-01-01', dead_at) / 1000 as dead_at_ms
  from ${deliveries}
  where receiver = ?
    and (? is null or business_key = ?)
    and (? is null or message_id = ?)
    and (? is null or state = ?)
    and seq > ?
  order by seq
  limit ${limit}`;
