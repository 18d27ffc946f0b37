import type { Identifier } from "@waybill/sql";

/** The bytes of message $3 of half message $1, $2. No row: there is none, or its time is over. */
export const readPayload = (bodies: Identifier): string => `
  select payload
  from ${bodies}
  where producer = $1 and id = $2 and ordinal = $3`;
