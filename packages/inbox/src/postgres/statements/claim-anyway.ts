import type { Identifier } from "@waybill/sql";

/**
 * Inserts the row of consumer $1 for message $2 with fingerprint $3. A unit that inserts the same row is waited for.
 * No row: the message is handled. Served by the primary key.
 */
export const claimAnyway = (inbox: Identifier): string => `
  insert into ${inbox} (consumer, message_id, fingerprint)
  values ($1, $2, $3)
  on conflict (consumer, message_id) do nothing
  returning 1 as is_new`;
