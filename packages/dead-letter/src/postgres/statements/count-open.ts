import type { Identifier } from "@waybill/sql";

/** Rows of reader $2 of origin $1 in each open state, counted up to $3. Always one row. Reads at most 3 × $3 entries of the index of open rows. */
export const countOpen = (letters: Identifier): string => `
  select (select count(*) from (select from ${letters} where origin = $1 and reader = $2 and state = 'dead' limit $3) as counted)::text as dead,
         (select count(*) from (select from ${letters} where origin = $1 and reader = $2 and state = 'held' limit $3) as counted)::text as held,
         (select count(*) from (select from ${letters} where origin = $1 and reader = $2 and state = 'released' limit $3) as counted)::text as released`;
