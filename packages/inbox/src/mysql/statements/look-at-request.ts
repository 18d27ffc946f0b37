import type { Identifier } from "@waybill/sql";

/**
 * Locks the row of consumer ?1 for request ?2, if it is there. Error 3572, or 1205 on MariaDB: another unit has it. Another one's row that
 * is not committed counts, too. Served by the primary key.
 */
export const lookAtRequest = (results: Identifier): string => `
  select 1 as looked
  from ${results}
  where consumer = ? and origin = 'request' and message_id = ?
  for update nowait`;
