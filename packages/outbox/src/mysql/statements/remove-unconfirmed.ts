import type { Identifier } from "@waybill/sql";

/** Nobody waits any more for what consumer ?2 has not confirmed, message ?1; its row is locked. Served by the primary key. */
export const removeUnconfirmed = (confirmations: Identifier): string => `
  delete from ${confirmations}
  where message_id = ? and consumer = ?`;
