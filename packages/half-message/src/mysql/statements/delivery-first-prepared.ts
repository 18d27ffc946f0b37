import type { Identifier } from "@waybill/sql";

/**
 * Where the messages of a key go out in the order of their prepares: of lane ?4 of destination ?3, the delivery that was prepared first among those of
 * producer ?1, ?5 and key ?2, ?6 that may go now, and blocked_by: an undecided half message that was prepared before it, or null. Reads the lane's open rows.
 */
export const firstPrepared = (deliveries: Identifier, halfMessages: Identifier): string => `
  select first.seq,
         (
          select earlier.id
          from ${halfMessages} as earlier
          where earlier.producer = ? and earlier.order_key = ? and earlier.order_open = 1
            and (earlier.prepared_at < first.prepared_at or (earlier.prepared_at = first.prepared_at and earlier.id < first.id))
          order by earlier.prepared_at, earlier.id
          limit 1
         ) as blocked_by
  from (
    select delivery.seq, half.prepared_at, half.id
    from ${deliveries} as delivery force index (lane_order)
    straight_join ${halfMessages} as half on half.producer = delivery.producer and half.id = delivery.id
    where delivery.destination = ? and delivery.open_lane = ?
      and (delivery.not_before is null or delivery.not_before <= utc_timestamp(6))
      and half.producer = ? and half.order_key = ?
    order by half.prepared_at, half.id, delivery.ordinal, delivery.seq
    limit 1
  ) as first`;
