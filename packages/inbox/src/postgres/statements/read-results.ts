import type { Identifier } from "@waybill/sql";

/**
 * What consumer $1 answered to $3, an array of ids of messages or requests, as $2 says. No row of one: nothing was kept, or not so long.
 * Served by the primary key.
 */
export const readResults = (results: Identifier): string => `
  select message_id, fingerprint, result
  from ${results}
  where consumer = $1 and origin = $2 and message_id = any ($3::text[])`;
