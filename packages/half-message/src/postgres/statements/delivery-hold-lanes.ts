import type { Identifier } from "@waybill/sql";

/**
 * Locks those of the lanes $2 (an array) of destination $1 that are there, in order, whoever holds them; is_leased: their deliveries are under way, and
 * whoever brings them frees the lane. Served by the primary key.
 */
export const holdLanes = (lanes: Identifier): string => `
  select held.lane, case when held.lease_token is null then 0 else 1 end as is_leased, held.failures
  from (select name from unnest($2::text[]) as given (name) order by name collate "C") as wanted
  cross join lateral (
    select lane, lease_token, failures
    from ${lanes}
    where destination = $1 and lane = wanted.name
    for update
  ) as held`;
