import type { Identifier } from "@waybill/sql";

/**
 * Gives up what is left of a subscription's lease that was held under an epoch, after an operator took its owner away and raised the epoch: nothing of
 * ours is on its way any more, so another relay need not wait. stream · subscription · epoch. No row found: somebody has it, or there is nothing to
 * give up. Served by the primary key.
 */
export const yieldLease = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set lease_until = '1970-01-01 00:00:00'
  where stream = ? and subscription = ?
    and epoch = ? + 1 and owner is null`;
