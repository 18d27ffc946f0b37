import type { Identifier } from "@waybill/sql";

/** Removes the rows from id $1 to id $2, both included. */
export const removeRows = (outbox: Identifier): string => `
  delete from ${outbox}
  where id between $1 and $2`;
