import type { Identifier } from "@waybill/sql";

/**
 * What reader $2 of origin $1 has in the table. Always one row: has_open, and highest_sequence, which is null if there is no row at all.
 * Two index probes: the open rows, and the upper end of the primary key.
 */
export const readSummary = (letters: Identifier): string => `
  select exists (
           select from ${letters}
           where origin = $1 and reader = $2
             and state in ('dead', 'held', 'released')
         ) as has_open,
         (select max(sequence) from ${letters} where origin = $1 and reader = $2)::text as highest_sequence`;
