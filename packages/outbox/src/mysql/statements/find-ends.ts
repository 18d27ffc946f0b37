import type { Identifier } from "@waybill/sql";

/** Lowest and highest id of the ledger, both null if it is empty. Two look-ups in the primary key. */
export const findEnds = (outbox: Identifier): string => `
  select min(id) as low, max(id) as high
  from ${outbox}`;
