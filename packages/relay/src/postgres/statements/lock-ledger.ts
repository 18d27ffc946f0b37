import type { Identifier } from "@waybill/sql";

/**
 * Locks the row of stream $1, so that no history is removed before the transaction ends, and answers between which ids a reader may stand: up to
 * where history was removed, and the highest id handed out. No row: there is no such stream. Served by the primary key.
 */
export const lockLedger = (streams: Identifier, idSequence: Identifier): string => `
  select removed_to::text as removed_to,
         (select last_value - (not is_called)::int from ${idSequence})::text as highest_id
  from ${streams}
  where name = $1
  for update`;
