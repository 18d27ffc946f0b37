import type { Identifier } from "@waybill/sql";

/** Deletes the row ? of a waiting message, which is locked. Served by the primary key. */
export const cancelDelayed = (delayed: Identifier): string => `
  delete from ${delayed}
  where id = ?`;
