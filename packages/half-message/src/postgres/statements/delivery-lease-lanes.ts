import type { Identifier } from "@waybill/sql";

/**
 * Leases at most $2 due lanes of destination $1 for $3 ms under token $4, those first that have been due for longest, and answers them. A lane that
 * somebody else is at is passed over. Served by the index of due lanes.
 */
export const leaseLanes = (lanes: Identifier): string => `
  with due as materialized ( -- once: joined as a sub-query it may be read again for each row, each time beyond its limit
    select destination, lane
    from ${lanes}
    where destination = $1 and due_at <= now()
    order by due_at
    limit $2
    for update skip locked
  )
  update ${lanes} as lane
  set due_at        = now() + $3 * interval '1 millisecond',
      blocked_until = now() + $3 * interval '1 millisecond',
      lease_token   = $4
  from due
  where lane.destination = due.destination and lane.lane = due.lane
  returning lane.lane, lane.failures`;
