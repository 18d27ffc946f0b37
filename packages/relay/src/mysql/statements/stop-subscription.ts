import type { Identifier } from "@waybill/sql";

/**
 * Stops a subscription until an operator decides, under the epoch and the owner that hold it.
 *
 * reason · stream · subscription · epoch · owner. No row found: the lease is lost, and whoever has it now looks for itself. Served by the primary key.
 */
export const stopSubscription = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set state        = 'stopped',
      state_reason = ?,
      epoch        = epoch + 1,
      owner        = null,
      lease_until  = '1970-01-01 00:00:00'
  where stream = ? and subscription = ?
    and epoch = ? and owner = ?`;
