import type { Identifier } from "@waybill/sql";

/** Removes the rows from id ? to id ?, both included: one range of the primary key, at READ COMMITTED, so that no gap stays locked. */
export const removeRows = (outbox: Identifier): string => `
  delete from ${outbox}
  where id between ? and ?`;
