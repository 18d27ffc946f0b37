import type { Identifier } from "@waybill/sql";

/**
 * Locks the row of a stream, so that no history is removed before the transaction ends, and answers between which ids a reader may stand: up to
 * where history was removed, and the highest id that can be seen. stream. No row: there is no such stream. Served by primary keys.
 */
export const lockLedger = (streams: Identifier, outbox: Identifier): string => `
  select removed_to,
         coalesce((select max(id) from ${outbox}), 0) as highest_id
  from ${streams}
  where name = ?
  for update`;
