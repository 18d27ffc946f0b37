import type { Identifier } from "@waybill/sql";

/**
 * Whose row of consumer ?2 for request ?3 is there, right after `claim-request.ts` in the same transaction: is_mine for the attempt with token ?1, and
 * what was answered, if it is not. Always one row. Served by the primary key.
 */
export const readRequest = (results: Identifier): string => `
  select coalesce(token = ?, 0) as is_mine, fingerprint, result
  from ${results}
  where consumer = ? and origin = 'request' and message_id = ?`;
