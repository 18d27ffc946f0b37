import type { Identifier } from "@waybill/sql";

/**
 * Removes attempts of consumer $1 at which nobody has counted for $2 ms by the database's clock, the oldest $3. Answers one row each;
 * fewer than $3: none are left. Served by the index on counted_at.
 */
export const removeAttempts = (attempts: Identifier): string => `
  delete from ${attempts}
  where ctid = any (array(
          select ctid
          from ${attempts}
          where consumer = $1
            and counted_at < statement_timestamp() - $2 * interval '1 millisecond'
          order by counted_at
          limit $3
        ))
    and counted_at < clock_timestamp() - $2 * interval '1 millisecond'
  returning 1 as removed`;
