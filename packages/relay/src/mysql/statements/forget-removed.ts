import type { Identifier } from "@waybill/sql";

/**
 * Takes back up to where history of a stream was removed, for a ledger whose ids went back behind it: the note is of another history. stream.
 */
export const forgetRemoved = (streams: Identifier): string => `
  update ${streams}
  set removed_to = 0
  where name = ?`;
