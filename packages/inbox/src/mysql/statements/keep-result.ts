import type { Identifier } from "@waybill/sql";

/**
 * Keeps what consumer ?1 answered to ?3, a message or request as ?2 says, with fingerprint ?4: ?5 as JSON; ?6 and ?7 are fingerprint and JSON again.
 * What was kept before is replaced. Served by the primary key. The count says nothing.
 */
export const keepResult = (results: Identifier): string => `
  insert into ${results} (consumer, origin, message_id, fingerprint, result)
  values (?, ?, ?, ?, ?)
  on duplicate key update
    fingerprint = ?,
    result      = ?,
    kept_at     = utc_timestamp(6)`;
