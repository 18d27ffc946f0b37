import type { Identifier } from "@waybill/sql";

/**
 * Takes the lease of a subscription whose row was locked and found free in the same transaction (`find-free-lease.ts`), and raises the
 * epoch: from here on every write of an earlier holder changes no row.
 *
 * owner: random id of this process · lease in milliseconds · hash of our configuration · stream · subscription.
 *
 * The lease runs from the statement's start, and we trust it from before it was sent: whatever it waited for comes off our share.
 */
export const acquireLease = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set epoch       = epoch + 1,
      owner       = ?,
      lease_until = utc_timestamp(6) + interval ? * 1000 microsecond,
      config_hash = ?,
      progressed  = false
  where stream = ? and subscription = ?`;
