import type { Identifier } from "@waybill/sql";

/**
 * Removes rows of a reader from a sequence on that are in one of two states: what would keep their messages from being published again.
 *
 * origin · reader · sequence · state · state. Served by the primary key.
 */
export const removeFrom = (letters: Identifier): string => `
  delete from ${letters}
  where origin = ? and reader = ?
    and sequence >= ?
    and state in (?, ?)`;
