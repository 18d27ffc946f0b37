import type { Identifier } from "@waybill/sql";

/**
 * Deletes subscription $2 of stream $1, whose row the transaction has locked. Served by the primary key.
 */
export const deleteSubscription = (subscriptions: Identifier): string => `
  delete from ${subscriptions}
  where stream = $1 and subscription = $2`;
