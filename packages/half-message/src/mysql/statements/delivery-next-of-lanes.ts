import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/**
 * For each of `rows` lanes that follow ?1, ?2, ?3 = destination: in how many ms its next delivery may go, 0 if one may go now, null if none is open.
 * Sent after the lanes were locked, so that it sees what was decided until then. Stops at the first that may go.
 */
export const nextOfLanes = (deliveries: Identifier, lanes: Identifier, rows: number): string => `
  select wanted.lane,
         if((
             select 1
             from ${deliveries} as ready force index (lane_order)
             where ready.destination = ? and ready.open_lane = wanted.lane and (ready.not_before is null or ready.not_before <= utc_timestamp(6))
             limit 1
            ) is not null,
            0,
            (
             select greatest(0, timestampdiff(microsecond, utc_timestamp(6), min(later.not_before)) / 1000)
             from ${deliveries} as later force index (lane_order)
             where later.destination = ? and later.open_lane = wanted.lane
            )) as after_ms
  from ${lanes} as wanted force index (primary)
  where wanted.destination = ? and wanted.lane in (${repeated("?", rows, ", ")})`;
