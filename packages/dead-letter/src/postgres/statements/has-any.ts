import type { Identifier } from "@waybill/sql";

/** Whether reader $2 of origin $1 has a row in any state: one row, or none. Served by the primary key. */
export const hasAny = (letters: Identifier): string => `
  select 1
  from ${letters}
  where origin = $1 and reader = $2
  limit 1`;
