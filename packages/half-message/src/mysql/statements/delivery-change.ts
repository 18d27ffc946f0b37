import type { Identifier } from "@waybill/sql";

/**
 * Changes deliveries that we have locked, with the lanes that schedule them.
 *
 * ?1 a JSON array of objects: seq, state, in_lane (1: its lane schedules it from now on), due_ms, not_before_ms, redelivered (1: one more), starts_anew
 * (1: as if it had never been tried), give_up_ms (null: as it is), outcome, error (null: as they are), acked_by, dead_reason. Served by the primary key.
 */
export const changeDeliveries = (deliveries: Identifier): string => `
  update json_table(?, '$[*]' columns (
           seq bigint path '$.seq', state varchar(12) path '$.state', in_lane int path '$.in_lane', due_ms bigint path '$.due_ms',
           not_before_ms bigint path '$.not_before_ms', redelivered int path '$.redelivered', starts_anew int path '$.starts_anew',
           give_up_ms bigint path '$.give_up_ms', outcome varchar(16) path '$.outcome', error varchar(500) path '$.error',
           acked_by varchar(128) path '$.acked_by', dead_reason varchar(64) path '$.dead_reason')) as wanted
  straight_join ${deliveries} as delivery force index (primary) on delivery.seq = wanted.seq
  set delivery.open_lane    = if(wanted.in_lane = 1, delivery.lane, null),
      delivery.due_at       = utc_timestamp(6) + interval wanted.due_ms * 1000 microsecond,
      delivery.not_before   = utc_timestamp(6) + interval wanted.not_before_ms * 1000 microsecond,
      delivery.lease_token  = null,
      delivery.attempts     = if(wanted.starts_anew = 1, 0, delivery.attempts),
      delivery.redeliveries = if(wanted.starts_anew = 1, 0, delivery.redeliveries + wanted.redelivered),
      delivery.give_up_at   = if(wanted.give_up_ms is null, delivery.give_up_at, utc_timestamp(6) + interval wanted.give_up_ms * 1000 microsecond),
      delivery.last_at      = utc_timestamp(6),
      delivery.last_error   = if(wanted.outcome is null, delivery.last_error, wanted.error),
      delivery.last_outcome = coalesce(wanted.outcome, delivery.last_outcome),
      delivery.acked_at     = if(wanted.state = 'acked', utc_timestamp(6), null),
      delivery.acked_by     = wanted.acked_by,
      delivery.dead_at      = if(wanted.state = 'dead', utc_timestamp(6), null),
      delivery.dead_reason  = wanted.dead_reason,
      delivery.state        = wanted.state`;
