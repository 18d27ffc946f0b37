import type { Identifier } from "@waybill/sql";

/**
 * Whose row of consumer ?2 for message ?3 is there, right after `claim.ts` in the same transaction: is_mine for the attempt with token ?1, and
 * the fingerprint under which it was handled, if it is not. Always one row. Served by the primary key.
 */
export const readToken = (inbox: Identifier): string => `
  select token = ? as is_mine, fingerprint
  from ${inbox}
  where consumer = ? and message_id = ?`;
