import type { Identifier } from "@waybill/sql";
import { serverIdentity } from "./server-identity.ts";

/**
 * Renews the lease of a subscription.
 *
 * lease in milliseconds · stream · subscription · epoch · owner · the server we began on. No row found: another relay holds the lease,
 * or another server answers; stop publishing at once. Served by the primary key.
 */
export const renewLease = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set lease_until = utc_timestamp(6) + interval ? * 1000 microsecond
  where stream = ? and subscription = ?
    and epoch = ? and owner = ?
    and ? = ${serverIdentity}`;
