import type { Identifier } from "@waybill/sql";

/**
 * Inserts the row of consumer ?1 for request ?2 with fingerprint ?3 and token ?4, or leaves the one that is there as it is. A unit that inserts the
 * same row is waited for. What it came to is told by `read-request.ts`, in the same transaction. `on duplicate key update` as in `claim.ts`.
 */
export const claimRequest = (results: Identifier): string => `
  insert into ${results} (consumer, origin, message_id, fingerprint, token)
  values (?, 'request', ?, ?, ?)
  on duplicate key update token = token`;
