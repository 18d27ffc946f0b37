import type { Identifier } from "@waybill/sql";

/** Forgets at most $2 claims of callers' own ids that are older than $1 milliseconds by the database's clock, the oldest first. Served by the index on created_at. */
export const removeClaims = (ids: Identifier): string => `
  delete from ${ids}
  where message_id = any (array(
    select message_id
    from ${ids}
    where created_at < clock_timestamp() - $1 * interval '1 ms'
    order by created_at
    limit $2
  ))`;
