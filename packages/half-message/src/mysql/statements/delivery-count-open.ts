import type { Identifier } from "@waybill/sql";

/** How many deliveries to destination ?1, ?2 are not done, at most `limit` of those in lanes and as many others. Served by the indexes of open lanes and of due ones. */
export const countOpen = (deliveries: Identifier, limit: number): string => `
  select (
          select count(*)
          from (select 1 from ${deliveries} force index (lane_order) where destination = ? and open_lane is not null limit ${limit}) as in_lanes
         ) + (
          select count(*)
          from (select 1 from ${deliveries} force index (due) where destination = ? and due_at is not null limit ${limit}) as alone
         ) as open_count`;
