import type { Identifier } from "@waybill/sql";

/** The highest sequence of a copy of a subscription; null: there is none. stream · subscription. Served by the primary key. */
export const highestSpilled = (spill: Identifier): string => `
  select max(sequence) as highest
  from ${spill}
  where stream = ? and subscription = ?`;
