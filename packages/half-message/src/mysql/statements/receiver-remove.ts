import type { Identifier } from "@waybill/sql";

/** Deletes receiver ?1. 0 rows: there is none. Served by the primary key. */
export const removeReceiver = (receivers: Identifier): string => `
  delete from ${receivers}
  where receiver = ?`;
