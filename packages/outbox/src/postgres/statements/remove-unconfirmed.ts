import type { Identifier } from "@waybill/sql";

/** Nobody waits any more for what the rows $1 and $2 wait for, arrays of message ids and of a consumer of each. Served by the primary key. */
export const removeUnconfirmed = (confirmations: Identifier): string => `
  delete from ${confirmations}
  using unnest($1::uuid[], $2::text[]) as locked (id, reader)
  where message_id = locked.id and consumer = locked.reader`;
