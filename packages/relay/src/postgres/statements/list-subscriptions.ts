import type { Identifier } from "@waybill/sql";

/**
 * All subscriptions of all streams, by name, with their cursors. No row: no relay has run yet. There are a handful; reads the table.
 *
 * The age of a save is for the database's clock to tell.
 */
export const listSubscriptions = (subscriptions: Identifier): string => `
  select stream,
         subscription,
         state,
         state_reason,
         owner is not null and lease_until >= clock_timestamp() as is_held,
         epoch::text as epoch,
         last_id::text as last_id,
         hole_lo::text[] as hole_lo,
         hole_hi::text[] as hole_hi,
         config_hash,
         extract(epoch from clock_timestamp() - saved_at) * 1000 as saved_ago_ms
  from ${subscriptions}
  order by stream, subscription`;
