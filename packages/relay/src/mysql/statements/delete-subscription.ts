import type { Identifier } from "@waybill/sql";

/**
 * Deletes a subscription whose row the transaction has locked. stream · subscription. Served by the primary key.
 */
export const deleteSubscription = (subscriptions: Identifier): string => `
  delete from ${subscriptions}
  where stream = ? and subscription = ?`;
