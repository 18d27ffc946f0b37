import type { Identifier } from "@waybill/sql";

/**
 * Where the messages of a key go out in the order of their prepares: of lane $2 of destination $1, the delivery that was prepared first among those of
 * producer $3 and key $4 that may go now, and blocked_by: an undecided half message that was prepared before it, or null. Reads the lane's open rows.
 */
export const firstPrepared = (deliveries: Identifier, halfMessages: Identifier): string => `
  select first.seq,
         (
          select earlier.id
          from ${halfMessages} as earlier
          where earlier.producer = $3 and earlier.order_key = $4 and earlier.order_open = 1
            and (earlier.prepared_at, earlier.id) < (first.prepared_at, first.id)
          order by earlier.prepared_at, earlier.id
          limit 1
         ) as blocked_by
  from (
    select delivery.seq, half.prepared_at, half.id
    from ${deliveries} as delivery
    join ${halfMessages} as half on half.producer = delivery.producer and half.id = delivery.id
    where delivery.destination = $1 and delivery.open_lane = $2
      and (delivery.not_before is null or delivery.not_before <= now())
      and half.producer = $3 and half.order_key = $4
    order by half.prepared_at, half.id, delivery.ordinal, delivery.seq
    limit 1
  ) as first`;
