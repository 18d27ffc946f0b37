import type { Identifier } from "@waybill/sql";

/**
 * Hands the lease of a subscription over: a standby may take it at once. No owner left behind tells the next holder that nobody died.
 *
 * stream · subscription · epoch · owner. No row found: it was not ours any more. Served by the primary key.
 */
export const releaseLease = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set lease_until = '1970-01-01 00:00:00',
      owner       = null
  where stream = ? and subscription = ?
    and epoch = ? and owner = ?`;
