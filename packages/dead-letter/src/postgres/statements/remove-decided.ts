import type { Identifier } from "@waybill/sql";

/**
 * Removes rows of reader $2 of origin $1 that were done or discarded more than $3 ms ago by the database's clock, the oldest $4.
 * Answers one row each; fewer than $4: none are left. Served by the index of decided rows.
 */
export const removeDecided = (letters: Identifier): string => `
  delete from ${letters}
  where ctid = any (array(
          select ctid
          from ${letters}
          where origin = $1 and reader = $2
            and state in ('done', 'discarded')
            and decided_at < clock_timestamp() - $3 * interval '1 millisecond'
          order by decided_at
          limit $4
        ))
    and state in ('done', 'discarded')
  returning 1 as removed`;
