import type { Identifier } from "@waybill/sql";

/** The first row at or above id $1, with its time in milliseconds since 1970. No row: there is none. Served by the partitions' primary keys. */
export const findNextRow = (outbox: Identifier): string => `
  select ledger.id::text as id, floor(date_part('epoch', ledger.created_at) * 1000)::bigint::text as created_ms
  from ${outbox} as ledger
  where ledger.id >= $1
  order by ledger.id
  limit 1`;
