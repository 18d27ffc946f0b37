import type { Identifier } from "@waybill/sql";

/** Whether a reader (origin · name) has a row in any state: one row, or none. Served by the primary key. */
export const hasAny = (letters: Identifier): string => `
  select 1
  from ${letters}
  where origin = ? and reader = ?
  limit 1`;
