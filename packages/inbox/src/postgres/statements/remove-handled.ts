import type { Identifier } from "@waybill/sql";

/**
 * Removes rows of consumer $1 handled more than $2 ms ago by the database's clock, the oldest $3. Answers one row each; fewer than $3:
 * none are left. Served by the index on handled_at.
 */
export const removeHandled = (inbox: Identifier): string => `
  delete from ${inbox}
  where ctid = any (array(
          select ctid
          from ${inbox}
          where consumer = $1
            and handled_at < statement_timestamp() - $2 * interval '1 millisecond'
          order by handled_at
          limit $3
        ))
  returning 1 as removed`;
