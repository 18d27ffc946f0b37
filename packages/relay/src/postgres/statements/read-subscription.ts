import type { Identifier } from "@waybill/sql";

/**
 * Looks at subscription $2 of stream $1 without touching it: a standby asks this twice a second. $3 is our own owner id.
 * No row: the subscription was never made, or was deleted. Served by the primary key.
 */
export const readSubscription = (subscriptions: Identifier): string => `
  select state,
         state_reason,
         lease_until < clock_timestamp() or owner = $3::uuid as is_free,
         config_hash
  from ${subscriptions}
  where stream = $1 and subscription = $2`;
