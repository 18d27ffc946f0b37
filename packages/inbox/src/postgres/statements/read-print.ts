import type { Identifier } from "@waybill/sql";

/** The fingerprint under which consumer $1 handled message $2. No row: it did not. Served by the primary key. */
export const readPrint = (inbox: Identifier): string => `
  select fingerprint
  from ${inbox}
  where consumer = $1 and message_id = $2`;
