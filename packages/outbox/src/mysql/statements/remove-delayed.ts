import type { Identifier } from "@waybill/sql";

/** Deletes the waiting messages with these ids, which are locked: they are in the ledger now. `ids` are whole numbers and nothing else. Served by the primary key. */
export const removeDelayed = (delayed: Identifier, ids: readonly bigint[]): string => `
  delete from ${delayed}
  where id in (${ids.join(", ")})`;
