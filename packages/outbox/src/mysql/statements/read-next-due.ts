import type { Identifier } from "@waybill/sql";

/**
 * When the next message is due: in so many milliseconds, which are below zero if it is late – for a zero date, which a writer in a lax mode may
 * have stored, there is no number: null. No row: none waits. One probe of the index on (due_at, id), however many wait.
 */
export const readNextDue = (delayed: Identifier): string => `
  select timestampdiff(microsecond, utc_timestamp(6), due_at) / 1000 as in_ms
  from ${delayed}
  order by due_at, id
  limit 1`;
