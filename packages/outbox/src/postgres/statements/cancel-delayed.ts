import type { Identifier } from "@waybill/sql";

/**
 * Deletes the message with id $1 if it still waits. One row: it did. No row: it was moved into the ledger, or was never there. While a relay is moving
 * it, or somebody else cancels it, this waits for them. Served by the unique index on message_id.
 */
export const cancelDelayed = (delayed: Identifier): string => `
  delete from ${delayed}
  where message_id = $1::uuid
  returning message_id`;
