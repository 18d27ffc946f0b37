import type { Identifier } from "@waybill/sql";

/** How many deliveries to destination $1 are not done, at most $2 of those in lanes and as many others. Served by the indexes of open lanes and of due ones. */
export const countOpen = (deliveries: Identifier): string => `
  select (
           select count(*) from (select from ${deliveries} where destination = $1 and open_lane is not null limit $2) as in_lanes
         ) + (
           select count(*) from (select from ${deliveries} where destination = $1 and due_at is not null limit $2) as alone
         ) as open_count`;
