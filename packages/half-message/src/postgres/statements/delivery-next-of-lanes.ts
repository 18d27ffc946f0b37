import type { Identifier } from "@waybill/sql";

/**
 * For each lane of $2 (an array) of destination $1: in how many ms its next delivery may go, 0 if one may go now, null if none is open. Sent after the
 * lanes were locked, so that it sees what was decided until then. Stops at the first that may go.
 */
export const nextOfLanes = (deliveries: Identifier): string => `
  select wanted.lane,
         case
           when exists (
             select from ${deliveries} where destination = $1 and open_lane = wanted.lane and (not_before is null or not_before <= now())
           ) then 0
           else (
             select greatest(0, extract(epoch from min(not_before) - now()) * 1000)
             from ${deliveries}
             where destination = $1 and open_lane = wanted.lane
             having min(not_before) is not null -- greatest would pass over the null of a lane without rows
           )
         end as after_ms
  from unnest($2::text[]) as wanted (lane)`;
