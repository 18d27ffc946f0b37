import type { Identifier } from "@waybill/sql";

/**
 * Messages have entered the ledger again: their rows $1 and $2, arrays of their ids and of a consumer of each, are due once more after the time that was
 * given, doubled with each repeat, and after $3 ms at most, or that time if it is longer. Served by the primary key.
 */
export const postponeUnconfirmed = (confirmations: Identifier): string => `
  update ${confirmations}
  set repeats = repeats + 1,
      due_at  = statement_timestamp()
                + greatest(within_ms, least(within_ms * power(2, least(repeats, 20) + 1), $3::float8)) * interval '1 millisecond'
  from unnest($1::uuid[], $2::text[]) as locked (id, reader)
  where message_id = locked.id and consumer = locked.reader`;
