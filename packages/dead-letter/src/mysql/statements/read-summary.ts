import type { Identifier } from "@waybill/sql";

/**
 * What a reader has in the table. Always one row: has_open, and highest_sequence, which is null if there is no row at all. Values, four
 * times: origin, reader. Four probes: the index on state – one for each, for a list of states may be served by reading the index from its
 * beginning – and the upper end of the primary key.
 */
export const readSummary = (letters: Identifier): string => `
  select exists (select 1 from ${letters} force index (state) where origin = ? and reader = ? and state = 'dead')
         or exists (select 1 from ${letters} force index (state) where origin = ? and reader = ? and state = 'held')
         or exists (select 1 from ${letters} force index (state) where origin = ? and reader = ? and state = 'released') as has_open,
         (select max(sequence) from ${letters} where origin = ? and reader = ?) as highest_sequence`;
