import type { Identifier } from "@waybill/sql";

/** Forgets that message ?1 waits for consumer ?2; its row is locked. Served by the primary key. Answers no row. */
export const confirmMessage = (confirmations: Identifier): string => `
  delete from ${confirmations}
  where message_id = ? and consumer = ?`;
