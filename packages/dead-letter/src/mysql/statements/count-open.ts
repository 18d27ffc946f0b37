import type { Identifier } from "@waybill/sql";

/**
 * Rows of a reader in each open state, each counted up to a bound. Always one row. Values, three times: origin, reader, bound.
 * Served by the index on state.
 */
export const countOpen = (letters: Identifier): string => `
  select (select count(*) from (select 1 from ${letters} force index (state) where origin = ? and reader = ? and state = 'dead' limit ?) as counted) as dead,
         (select count(*) from (select 1 from ${letters} force index (state) where origin = ? and reader = ? and state = 'held' limit ?) as counted) as held,
         (select count(*) from (select 1 from ${letters} force index (state) where origin = ? and reader = ? and state = 'released' limit ?) as counted) as released`;
