import type { Identifier } from "@waybill/sql";

/** Rows of reader $2 of origin $1 in each open state, counted up to $3. Always one row. Dead and
 * released rows have indexes of their own; held ones are counted in that of the lanes, passing over others before them. */
export const countOpen = (letters: Identifier): string => `
  select (select count(*) from (select from ${letters} where origin = $1 and reader = $2 and state = 'dead' limit $3) as counted)::text as dead,
         (select count(*) from (select from ${letters} where origin = $1 and reader = $2 and state = 'held' limit $3) as counted)::text as held,
         (select count(*) from (select from ${letters} where origin = $1 and reader = $2 and state = 'released' limit $3) as counted)::text as released`;
