import type { Identifier } from "@waybill/sql";

/**
 * For each lane of $2 (an array) of destination $1: its first delivery that may go now. A lane without a row has none. One probe of the index of open
 * lanes each, however many wait behind.
 */
export const findHeads = (deliveries: Identifier): string => `
  select wanted.lane, head.seq
  from unnest($2::text[]) as wanted (lane)
  cross join lateral (
    select seq
    from ${deliveries}
    where destination = $1 and open_lane = wanted.lane
      and (not_before is null or not_before <= now())
    order by seq
    limit 1
  ) as head`;
