import type { Identifier } from "@waybill/sql";

/**
 * Locks the row ? of a waiting message if it is still there, whatever this transaction sees. One row: it is. No row: it was moved into the ledger, or
 * cancelled. While a relay is moving it, or somebody else cancels it, this waits for them. By the primary key, where the mover begins, too: a search by
 * message id would lock the two indexes the other way round, and one of both would die in a deadlock.
 */
export const holdDelayed = (delayed: Identifier): string => `
  select id
  from ${delayed} force index (primary)
  where id = ?
  for update`;
