import type { Identifier } from "@waybill/sql";

/**
 * The last row of one partition: its id, and whether it is older than $1 milliseconds by the database's clock. No row: it is empty. Served by
 * the partition's primary key; no other partition is touched. (`order by id` alone would sort by the text.)
 */
export const readNewest = (partition: Identifier): string => `
  select id::text as id, created_at < clock_timestamp() - $1 * interval '1 ms' as is_old
  from ${partition} as ledger
  order by ledger.id desc
  limit 1`;
