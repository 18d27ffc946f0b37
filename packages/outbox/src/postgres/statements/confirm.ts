import type { Identifier } from "@waybill/sql";

/** Forgets that message $1 waits for consumer $2. One row: it did. Served by the primary key. */
export const confirmMessage = (confirmations: Identifier): string => `
  delete from ${confirmations}
  where message_id = $1::uuid and consumer = $2
  returning 1 as confirmed`;
