import type { Identifier } from "@waybill/sql";
import { lanesByKey } from "./lanes-by-key.ts";

/**
 * Ends the lease of lanes $2 (an array) of destination $1, which we have locked. $3 a JSON array of objects: lane, blocked_ms (0: not blocked), after_ms (when its
 * next delivery may go), failures (in a row). Served by the primary key.
 */
export const freeLanes = (lanes: Identifier): string => `
  update ${lanes} as lane
  set due_at        = now() + greatest(free.after_ms, free.blocked_ms) * interval '1 millisecond',
      blocked_until = now() + free.blocked_ms * interval '1 millisecond',
      lease_token   = null,
      failures      = free.failures
  from json_to_recordset($3::json) as free (lane text, blocked_ms float8, after_ms float8, failures integer)
  where lane.ctid = any (${lanesByKey(lanes)}) and lane.lane = free.lane`;
