import type { Identifier } from "@waybill/sql";

/**
 * What waits for confirmations in stream $1, of the first $2 rows by when they are due: how many, how many of them have entered the ledger again, and for how many
 * milliseconds the oldest has waited, null if none does. Served by the index on (stream, due_at).
 */
export const measureUnconfirmed = (confirmations: Identifier): string => `
  select count(*)::text as waiting, count(*) filter (where repeats > 0)::text as repeated,
         (extract(epoch from statement_timestamp() - min(created_at)) * 1000)::float8::text as oldest_ms
  from (
    select repeats, created_at
    from ${confirmations}
    where stream = $1
    order by stream, due_at, message_id
    limit $2::bigint
  ) as first`;
