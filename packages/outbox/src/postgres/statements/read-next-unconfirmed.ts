import type { Identifier } from "@waybill/sql";

/**
 * When the next message of stream $1 that is not confirmed is due: in so many milliseconds, which are below zero if it is late. No row: none waits. One
 * probe of the index on (stream, due_at), however many wait.
 */
export const readNextUnconfirmed = (confirmations: Identifier): string => `
  select (extract(epoch from due_at - statement_timestamp()) * 1000)::float8::text as in_ms
  from ${confirmations}
  where stream = $1
  order by stream, due_at, message_id
  limit 1`;
