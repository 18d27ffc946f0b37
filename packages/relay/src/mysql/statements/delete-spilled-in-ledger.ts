import type { Identifier } from "@waybill/sql";

/**
 * Deletes from the spill of a subscription what the ledger still has, from a sequence on: the same message under the same id.
 *
 * stream · subscription · sequence. A copy whose row is gone, or whose id is another message's by now, stays. Served by both primary keys.
 */
export const deleteSpilledInLedger = (spill: Identifier, outbox: Identifier): string => `
  delete copied
  from ${spill} as copied
  straight_join ${outbox} as found force index (primary) on found.id = copied.sequence and found.message_id = copied.message_id
  where copied.stream = ? and copied.subscription = ?
    and copied.sequence >= ?`;
