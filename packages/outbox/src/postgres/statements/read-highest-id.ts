import type { Identifier } from "@waybill/sql";

/** The highest id that a ledger's sequence has handed out. One row; reads the sequence's own page. */
export const readHighestId = (sequence: Identifier): string => `
  select (last_value - (not is_called)::int)::text as highest_id
  from ${sequence}`;
