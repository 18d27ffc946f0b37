import type { Identifier } from "@waybill/sql";

/**
 * Where something is or will be due, and in how many ms: of lanes, and of deliveries without one. Hops from destination to destination in the two
 * indexes of due times, so it costs what there are destinations, not what there are rows.
 */
export const dueDestinations = (deliveries: Identifier, lanes: Identifier): string => `
  with recursive due_lanes as (
    (select destination, due_at from ${lanes} order by destination, due_at limit 1)
    union all
    select next.destination, next.due_at
    from due_lanes
    cross join lateral (
      select destination, due_at from ${lanes} where destination > due_lanes.destination order by destination, due_at limit 1
    ) as next
  ),
  due_rows as (
    (select destination, due_at from ${deliveries} where due_at is not null order by destination, due_at limit 1)
    union all
    select next.destination, next.due_at
    from due_rows
    cross join lateral (
      select destination, due_at
      from ${deliveries}
      where due_at is not null and destination > due_rows.destination
      order by destination, due_at
      limit 1
    ) as next
  )
  select destination, extract(epoch from min(due_at) - now()) * 1000 as after_ms
  from (select * from due_lanes union all select * from due_rows) as due
  group by destination`;
