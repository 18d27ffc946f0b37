import type { Identifier } from "@waybill/sql";

/** Makes lane ?2 of destination ?1, if it is there, due when it becomes free at the latest. Served by the primary key. */
export const wakeLane = (lanes: Identifier): string => `
  update ${lanes}
  set due_at = greatest(blocked_until, least(due_at, utc_timestamp(6)))
  where destination = ? and lane = ?`;
