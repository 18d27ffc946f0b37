import type { Identifier } from "@waybill/sql";
import { serverIdentity } from "./server-identity.ts";

/**
 * Renews the lease of subscription $2 of stream $1 by $5 ms, under epoch $3 and owner $4, on server $6.
 *
 * No row: another relay holds the lease, or another server answers; stop publishing at once. Served by the primary key.
 */
export const renewLease = (subscriptions: Identifier): string => `
  update ${subscriptions}
  set lease_until = clock_timestamp() + $5::bigint * interval '1 millisecond'
  where stream = $1 and subscription = $2
    and epoch = $3::bigint and owner = $4::uuid
    and $6 = ${serverIdentity}
  returning 1`;
