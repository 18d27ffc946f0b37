import type { Identifier } from "@waybill/sql";

/**
 * Locks the row of consumer ?1 for message ?2 if it can be had at once. An error – 3572 on MySQL, 1205 on MariaDB – says that another
 * unit has inserted it and not ended yet. A row or none: nobody has. Served by the primary key.
 */
export const lookAtClaim = (inbox: Identifier): string => `
  select 1 as is_handled
  from ${inbox}
  where consumer = ? and message_id = ?
  for update nowait`;
