import type { Identifier } from "@waybill/sql";

/**
 * Writes what attempts came to, for rows that we have locked.
 *
 * ?1 a JSON array of objects: seq, state, keeps_lane (1: its lane goes on scheduling it), due_ms, not_before_ms (null: as it is), given_back (1: the
 * attempt is charged to nobody), outcome, error, acked_by, dead_reason. Served by the primary key.
 */
export const recordAttempts = (deliveries: Identifier): string => `
  update json_table(?, '$[*]' columns (
           seq bigint path '$.seq', state varchar(12) path '$.state', keeps_lane int path '$.keeps_lane', due_ms bigint path '$.due_ms',
           not_before_ms bigint path '$.not_before_ms', given_back int path '$.given_back', outcome varchar(16) path '$.outcome',
           error varchar(500) path '$.error', acked_by varchar(128) path '$.acked_by', dead_reason varchar(64) path '$.dead_reason')) as result
  straight_join ${deliveries} as delivery force index (primary) on delivery.seq = result.seq
  set delivery.open_lane    = if(result.keeps_lane = 1, delivery.open_lane, null),
      delivery.due_at       = utc_timestamp(6) + interval result.due_ms * 1000 microsecond,
      delivery.not_before   = if(result.not_before_ms is null, delivery.not_before, utc_timestamp(6) + interval result.not_before_ms * 1000 microsecond),
      delivery.lease_token  = null,
      delivery.attempts     = delivery.attempts - result.given_back,
      delivery.last_at      = utc_timestamp(6),
      delivery.last_outcome = result.outcome,
      delivery.last_error   = result.error,
      delivery.acked_at     = if(result.state = 'acked', utc_timestamp(6), null),
      delivery.acked_by     = result.acked_by,
      delivery.dead_at      = if(result.state = 'dead', utc_timestamp(6), null),
      delivery.dead_reason  = result.dead_reason,
      delivery.state        = result.state`;
