import type { Identifier } from "@waybill/sql";

/** The highest sequence of a copy of subscription $2 of stream $1; null: there is none. Served by the primary key. */
export const highestSpilled = (spill: Identifier): string => `
  select max(sequence)::text as highest
  from ${spill}
  where stream = $1 and subscription = $2`;
