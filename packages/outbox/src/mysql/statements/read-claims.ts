import type { Identifier } from "@waybill/sql";

/**
 * Reads `count` claims back, with the lock that claiming took anyway: at REPEATABLE READ a plain read would not see a row that another
 * transaction committed after our snapshot. ? ids. One row per id; whose token is ours was claimed by us. Served by the primary key.
 */
export const readClaims = (ids: Identifier, count: number): string => `
  select message_id, fingerprint, token
  from ${ids}
  where message_id in (${Array.from({ length: count }, () => "?").join(", ")})
  order by message_id
  for update`;
