import type { Identifier } from "@waybill/sql";

/**
 * Looks at a subscription without touching it: a standby asks this twice a second.
 *
 * our own owner id · stream · subscription. No row: the subscription was never made, or was deleted. Served by the primary key.
 */
export const readSubscription = (subscriptions: Identifier): string => `
  select state,
         state_reason,
         lease_until < utc_timestamp(6) or coalesce(owner = ?, false) as is_free,
         config_hash
  from ${subscriptions}
  where stream = ? and subscription = ?`;
