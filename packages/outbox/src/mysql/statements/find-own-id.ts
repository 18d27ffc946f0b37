import type { Identifier } from "@waybill/sql";

/** Finds an id that a caller chose: ?. One row with its fingerprint; no row: nobody claimed it, or retention removed it. Served by the primary key. */
export const findOwnId = (ids: Identifier): string => `
  select fingerprint
  from ${ids}
  where message_id = ?`;
