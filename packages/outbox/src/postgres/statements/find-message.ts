import type { Identifier } from "@waybill/sql";

/**
 * Finds a message by its id among the rows from id $2 (included) to $3 (excluded), both null: in an empty ledger. $1 message id.
 *
 * The ledger has no index on message ids, so this reads the whole range over the primary key: keep it short. One row: its id as text.
 * No row: it is not there, or its transaction has not committed.
 */
export const findMessage = (outbox: Identifier): string => `
  select id::text as id
  from ${outbox}
  where id >= $2::bigint
    and id < $3::bigint
    and message_id = $1::uuid
  order by id
  limit 1`;
