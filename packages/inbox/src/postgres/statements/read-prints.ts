import type { Identifier } from "@waybill/sql";

/** The fingerprints under which consumer $1 handled messages $2, an array of ids. No row of one: it did not. Served by the primary key. */
export const readPrints = (inbox: Identifier): string => `
  select message_id, fingerprint
  from ${inbox}
  where consumer = $1 and message_id = any ($2::text[])`;
