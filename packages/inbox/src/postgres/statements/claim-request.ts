import type { Identifier } from "@waybill/sql";

/**
 * Inserts the row of consumer $1 for request $2 with fingerprint $3. A unit that inserts the same row is waited for.
 * No row: the request was answered. Served by the primary key.
 */
export const claimRequest = (results: Identifier): string => `
  insert into ${results} (consumer, origin, message_id, fingerprint)
  values ($1, 'request', $2, $3)
  on conflict (consumer, origin, message_id) do nothing
  returning 1 as is_new`;
