import type { Identifier } from "@waybill/sql";

/**
 * The next rows that may be history: at most $4, ids above $2 and below $3, ascending, with whether each is older than $1 milliseconds by the
 * database's clock. Served by the partitions' primary keys. (`order by id` alone would sort by the text.)
 */
export const readHistory = (outbox: Identifier): string => `
  select id::text as id, created_at < clock_timestamp() - $1 * interval '1 ms' as is_old
  from ${outbox} as ledger
  where id > $2
    and id < $3
  order by ledger.id
  limit $4`;
