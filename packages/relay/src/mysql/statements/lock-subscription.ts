import type { Identifier } from "@waybill/sql";

/**
 * Locks the row of a subscription inside a unit of work, if epoch and owner still hold it: what the unit writes is fenced, for nobody can
 * take the lease over before it ends.
 *
 * stream · subscription · epoch · owner. No row: the lease is lost; roll back. Served by the primary key.
 */
export const lockSubscription = (subscriptions: Identifier): string => `
  select 1
  from ${subscriptions}
  where stream = ? and subscription = ?
    and epoch = ? and owner = ?
  for update`;
