import type { Identifier } from "@waybill/sql";

/** Which of the names $1 are registered. Served by the primary key. */
export const findReceivers = (receivers: Identifier): string => `
  select receiver
  from ${receivers}
  where receiver = any ($1::text[])`;
