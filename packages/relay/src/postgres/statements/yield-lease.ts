import type { Identifier } from "@waybill/sql";

/**
 * Gives up what is left of a lease of subscription $2 of stream $1 that was held under epoch $3, after an operator took its owner away and raised the
 * epoch: nothing of ours is on its way any more, so another relay need not wait. No row: somebody has it, or there is nothing to give up.
 * Served by the primary key.
 */
export const yieldLease = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set lease_until = '-infinity'
  where stream = $1 and subscription = $2
    and epoch = $3::bigint + 1 and owner is null
  returning 1`;
