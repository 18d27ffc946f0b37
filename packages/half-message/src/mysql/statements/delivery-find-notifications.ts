import type { Identifier } from "@waybill/sql";

/**
 * At most `limit` deliveries of lane ?2 of destination ?1 whose time has come, those first that have waited for longest. Reads all open rows of the
 * lane: a receiver's, which has few unless it is down, and then it is asked seldom.
 */
export const findNotifications = (deliveries: Identifier, limit: number): string => `
  select seq
  from ${deliveries} force index (lane_order)
  where destination = ? and open_lane = ? and not_before <= utc_timestamp(6)
  order by not_before, seq
  limit ${limit}`;
