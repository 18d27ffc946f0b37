import type { Identifier } from "@waybill/sql";

/**
 * Writes what attempts came to, and answers which of them (seq).
 *
 * $1 a JSON array of objects: seq, attempt (as claimed), in_lane (1: we hold its lane, 0: the row itself under token $2), state, keeps_lane (1: its lane
 * goes on scheduling it), due_ms, not_before_ms (null: as it is), given_back (1: the attempt is charged to nobody), outcome, error, acked_by, dead_reason.
 *
 * Missing: our lease was lost, or an acknowledgement came first. Served by the primary key.
 */
export const recordAttempts = (deliveries: Identifier): string => `
  update ${deliveries} as delivery
  set state        = result.state,
      open_lane    = case when result.keeps_lane = 1 then delivery.open_lane end,
      due_at       = now() + result.due_ms * interval '1 millisecond',
      not_before   = case when result.not_before_ms is null then delivery.not_before
                          else now() + result.not_before_ms * interval '1 millisecond' end,
      lease_token  = null,
      attempts     = delivery.attempts - result.given_back,
      last_at      = now(),
      last_outcome = result.outcome,
      last_error   = result.error,
      acked_at     = case when result.state = 'acked' then now() end,
      acked_by     = result.acked_by,
      dead_at      = case when result.state = 'dead' then now() end,
      dead_reason  = result.dead_reason
  from json_to_recordset($1::json) as result (
         seq bigint, attempt integer, in_lane integer, state text, keeps_lane integer, due_ms float8, not_before_ms float8,
         given_back integer, outcome text, error text, acked_by text, dead_reason text)
  where delivery.seq = result.seq
    and delivery.attempts = result.attempt
    and delivery.state in ('pending', 'awaiting_ack')
    and case result.in_lane when 1 then delivery.open_lane is not null else delivery.lease_token = $2 end
  returning delivery.seq`;
