import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/**
 * Makes lanes due, as many as `rows` says and in their order, which is that of destination and lane: lanes that are not there appear, one that is
 * there is due when it becomes free at the latest.
 *
 * For each: destination, lane, milliseconds from now. Whoever decides holds the lanes' rows until it commits, so that the rows of a lane get their seq
 * in the order of the commits. Served by the primary key.
 */
export const touchLanes = (lanes: Identifier, rows: number): string => `
  insert into ${lanes} (destination, lane, due_at)
  values ${repeated(row, rows, ", ")}
  on duplicate key update
    due_at = greatest(blocked_until, least(due_at, values(due_at)))`;

const row = "(?, ?, utc_timestamp(6) + interval ? * 1000 microsecond)";
