import type { Identifier } from "@waybill/sql";

/** Deletes all copies of a subscription: stream · subscription. Served by the primary key. */
export const clearSpill = (spill: Identifier): string => `
  delete from ${spill}
  where stream = ? and subscription = ?`;
