import type { Identifier } from "@waybill/sql";

/**
 * Changes deliveries that we have locked, with the lanes that schedule them.
 *
 * $1 a JSON array of objects: seq, state, in_lane (1: its lane schedules it from now on), due_ms, not_before_ms, redelivered (1: one more), starts_anew
 * (1: as if it had never been tried), give_up_ms (null: as it is), outcome, error (null: as they are), acked_by, dead_reason. Served by the primary key.
 */
export const changeDeliveries = (deliveries: Identifier): string => `
  update ${deliveries} as delivery
  set state        = change.state,
      open_lane    = case when change.in_lane = 1 then delivery.lane end,
      due_at       = now() + change.due_ms * interval '1 millisecond',
      not_before   = now() + change.not_before_ms * interval '1 millisecond',
      lease_token  = null,
      attempts     = case change.starts_anew when 1 then 0 else delivery.attempts end,
      redeliveries = case change.starts_anew when 1 then 0 else delivery.redeliveries + change.redelivered end,
      give_up_at   = case when change.give_up_ms is null then delivery.give_up_at else now() + change.give_up_ms * interval '1 millisecond' end,
      last_at      = now(),
      last_outcome = coalesce(change.outcome, delivery.last_outcome),
      last_error   = case when change.outcome is null then delivery.last_error else change.error end,
      acked_at     = case when change.state = 'acked' then now() end,
      acked_by     = change.acked_by,
      dead_at      = case when change.state = 'dead' then now() end,
      dead_reason  = change.dead_reason
  from json_to_recordset($1::json) as change (
         seq bigint, state text, in_lane integer, due_ms float8, not_before_ms float8, redelivered integer, starts_anew integer, give_up_ms float8,
         outcome text, error text, acked_by text, dead_reason text)
  where delivery.seq = change.seq`;
