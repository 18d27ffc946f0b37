import type { Identifier } from "@waybill/sql";

/**
 * At most `limit` deliveries after seq ?5, in its order: of destination ?1, ?2, or of all where it is null; in state ?3, ?4, or in any. Goes through
 * the rows in their order: for operators, who look seldom.
 */
export const searchDeliveries = (deliveries: Identifier, limit: number): string => `
  select seq, code, producer, id, message_id, destination, receiver, business_key, state, ack_mode, attempts, redeliveries, last_outcome, last_error, dead_reason,
         acked_by,
         timestampdiff(microsecond, '1970-01-01', coalesce(due_at, not_before)) / 1000 as due_at_ms,
         timestampdiff(microsecond, '1970-01-01', created_at) / 1000 as created_at_ms,
         timestampdiff(microsecond, '1970-01-01', last_at) / 1000 as last_at_ms,
         timestampdiff(microsecond, '1970-01-01', acked_at) / 1000 as acked_at_ms,
         timestampdiff(microsecond, '1970-01-01', dead_at) / 1000 as dead_at_ms
  from ${deliveries} force index (primary)
  where (? is null or destination = ?) and (? is null or state = ?) and seq > ?
  order by seq
  limit ${limit}`;
