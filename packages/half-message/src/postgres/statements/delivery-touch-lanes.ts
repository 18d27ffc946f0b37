import type { Identifier } from "@waybill/sql";

/**
 * Makes lanes due, in the order of destination and lane: lanes that are not there appear, one that is there is due when it becomes free at the latest.
 *
 * $1 a JSON array of objects: destination, lane, after_ms. Whoever decides holds the lanes' rows until it commits, so that the rows of a lane get
 * their seq in the order of the commits. Served by the primary key.
 */
export const touchLanes = (lanes: Identifier): string => `
  insert into ${lanes} as lane (destination, lane, due_at)
  select destination, lane, now() + after_ms * interval '1 millisecond'
  from json_to_recordset($1::json) as touched (destination text, lane text, after_ms float8)
  order by destination collate "C", lane collate "C"
  on conflict (destination, lane) do update
  set due_at = greatest(lane.blocked_until, least(lane.due_at, excluded.due_at))`;
