import type { ChangedRow } from "./delivery-tables.ts";

/** A change as both dialects' statement reads it, out of JSON. */
export function toChange(row: ChangedRow): object {
  return {
    seq: row.seq,
    state: row.state,
    in_lane: row.isInLane ? 1 : 0,
    due_ms: row.dueMs,
    not_before_ms: row.notBeforeMs,
    redelivered: row.redelivered,
    starts_anew: row.startsAnew ? 1 : 0,
    give_up_ms: row.giveUpMs,
    outcome: row.outcome,
    error: row.error,
    acked_by: row.ackedBy,
    dead_reason: row.deadReason,
  };
}
