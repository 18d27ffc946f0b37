import type { Identifier } from "@waybill/sql";

/**
 * Takes back up to where history of stream $1 was removed, for a ledger whose ids went back behind it: the note is of another history.
 */
export const forgetRemoved = (streams: Identifier): string => `
  update ${streams}
  set removed_to = 0
  where name = $1`;
