import type { Identifier } from "@waybill/sql";

/**
 * Inserts the row of consumer ?1 for message ?2 with fingerprint ?3 and token ?4, or leaves the one that is there as it is. A unit that
 * inserts the same row is waited for. What it came to is told by `read-claim.ts` or `read-token.ts`, in the same transaction.
 *
 * `on duplicate key update`, for `insert ignore` would also cut an id that is too long and take the next one for its duplicate. The count
 * says nothing: whether a duplicate counts depends on how the connection was made. Served by the primary key.
 */
export const claimMessage = (inbox: Identifier): string => `
  insert into ${inbox} (consumer, message_id, fingerprint, token)
  values (?, ?, ?, ?)
  on duplicate key update token = token`;
