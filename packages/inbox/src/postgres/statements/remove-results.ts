import type { Identifier } from "@waybill/sql";

/**
 * Removes results of consumer $1 kept more than $2 ms ago by the database's clock, the oldest $3. Answers one row each; fewer than $3: none are
 * left. Served by the index on kept_at.
 */
export const removeResults = (results: Identifier): string => `
  delete from ${results}
  where ctid = any (array(
          select ctid
          from ${results}
          where consumer = $1
            and kept_at < statement_timestamp() - $2 * interval '1 millisecond'
          order by kept_at
          limit $3
        ))
    and kept_at < clock_timestamp() - $2 * interval '1 millisecond'
  returning 1 as removed`;
