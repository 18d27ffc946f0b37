import type { Identifier } from "@waybill/sql";

/**
 * When the next message is due: in so many milliseconds, which are below zero if it is late. No row: none waits.
 * One probe of the index on (due_at, id), however many wait.
 */
export const readNextDue = (delayed: Identifier): string => `
  select (extract(epoch from due_at - statement_timestamp()) * 1000)::float8::text as in_ms
  from ${delayed}
  order by due_at, id
  limit 1`;
