import type { Identifier } from "@waybill/sql";

/** Makes lane $2 of destination $1, if it is there, due when it becomes free at the latest. Served by the primary key. */
export const wakeLane = (lanes: Identifier): string => `
  update ${lanes}
  set due_at = greatest(blocked_until, least(due_at, now()))
  where destination = $1 and lane = $2`;
