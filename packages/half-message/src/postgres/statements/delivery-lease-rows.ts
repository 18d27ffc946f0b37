import type { Identifier } from "@waybill/sql";

/**
 * Leases at most $2 due deliveries without a lane of destination $1 for $3 ms under token $4, and counts the attempt. One that waited for an
 * acknowledgement is a redelivery. A row that somebody else is at is passed over. Served by the index of due deliveries.
 */
export const leaseRows = (deliveries: Identifier): string => `
  with due as materialized ( -- once: joined as a sub-query it may be read again for each row, each time beyond its limit
    select seq
    from ${deliveries}
    where destination = $1 and due_at <= now()
    order by due_at
    limit $2
    for update skip locked
  )
  update ${deliveries} as delivery
  set due_at       = now() + $3 * interval '1 millisecond',
      lease_token  = $4,
      attempts     = attempts + 1,
      redeliveries = redeliveries + case state when 'awaiting_ack' then 1 else 0 end
  from due
  where delivery.seq = due.seq
  returning delivery.seq`;
