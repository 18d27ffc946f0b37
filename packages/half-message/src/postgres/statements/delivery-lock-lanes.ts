import type { Identifier } from "@waybill/sql";

/** Locks those of the lanes $2 (an array) of destination $1 that we still hold under token $3, in order, and answers them. Served by the primary key. */
export const lockLanes = (lanes: Identifier): string => `
  select held.lane
  from (select name from unnest($2::text[]) as given (name) order by name collate "C") as wanted
  cross join lateral (
    select lane
    from ${lanes}
    where destination = $1 and lane = wanted.name and lease_token = $3
    for update
  ) as held`;
