import type { Identifier } from "@waybill/sql";

/**
 * Locks the row of subscription $2 of stream $1 inside a unit of work, if epoch $3 and owner $4 still hold it: what the unit writes is
 * fenced, for nobody can take the lease over before it ends. Its later statements wait at most $5 (`100ms`) for a lock, since renewals
 * and saves wait for the unit meanwhile.
 *
 * No row: the lease is lost; roll back. Served by the primary key.
 */
export const lockSubscription = (subscriptions: Identifier): string => `
  select set_config('lock_timeout', $5, true)
  from ${subscriptions}
  where stream = $1 and subscription = $2
    and epoch = $3::bigint and owner = $4::uuid
  for update`;
