import type { Identifier } from "@waybill/sql";

/**
 * For each lane of $2 (an array) of destination $1: at most $3 deliveries whose time has come, those first that have waited for longest. Reads all open
 * rows of a lane: a receiver's, which has few unless it is down, and then it is asked seldom.
 */
export const findNotifications = (deliveries: Identifier): string => `
  select wanted.lane, due.seq
  from unnest($2::text[]) as wanted (lane)
  cross join lateral (
    select seq
    from ${deliveries}
    where destination = $1 and open_lane = wanted.lane and not_before <= now()
    order by not_before, seq
    limit $3
  ) as due`;
