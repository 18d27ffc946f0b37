import type { Identifier } from "@waybill/sql";

/**
 * Finds a message by its id among the rows from id ? (included) to ? (excluded). Last ?: message id.
 *
 * The ledger has no index on message ids, so this reads the whole range over the primary key: keep it short. One row: its id. No row: it is
 * not there, or – unless the session reads what is not committed – its transaction has not committed.
 */
export const findMessage = (outbox: Identifier): string => `
  select id
  from ${outbox}
  where id >= ?
    and id < ?
    and message_id = ?
  order by id
  limit 1`;
