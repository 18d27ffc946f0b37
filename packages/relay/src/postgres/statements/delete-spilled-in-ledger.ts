import type { Identifier } from "@waybill/sql";

/**
 * Deletes from the spill of subscription $2 of stream $1 what the ledger still has, from sequence $3 on: the same message under the same id. A copy
 * whose row is gone, or whose id is another message's by now, stays. One probe of the ledger's primary key for each copy: the limit keeps the
 * planner from joining it as a whole.
 */
export const deleteSpilledInLedger = (spill: Identifier, outbox: Identifier): string => `
  delete from ${spill} as copied
  where copied.stream = $1 and copied.subscription = $2
    and copied.sequence >= $3::bigint
    and exists (
          select
          from (
            select message_id
            from ${outbox}
            where id between copied.sequence and copied.sequence
            order by id
            limit 1
          ) as found
          where found.message_id = copied.message_id
        )`;
