import type { Identifier } from "@waybill/sql";

/**
 * What waits for confirmations in stream ?1, of the first ?2 rows by when they are due: how many, how many of them have entered the ledger again, and for how many
 * milliseconds the oldest has waited, null if none does. Served by the index on (stream, due_at). The server gives up after `limitMs`:
 * MariaDB reads the comment with an M as part of the statement and fails with 1969, MySQL the one with a plus and fails with 3024.
 */
export const measureUnconfirmed = (confirmations: Identifier, limitMs: number): string => `
  /*M! set statement max_statement_time = ${limitMs / 1_000} for */
  select /*+ MAX_EXECUTION_TIME(${limitMs}) */ count(*) as waiting, coalesce(sum(repeats > 0), 0) as repeated,
         timestampdiff(microsecond, min(created_at), utc_timestamp(6)) / 1000 as oldest_ms
  from (
    select repeats, created_at
    from ${confirmations}
    where stream = ?
    order by stream, due_at, message_id
    limit ?
  ) as first`;
