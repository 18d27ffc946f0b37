import type { Identifier } from "@waybill/sql";

/**
 * All subscriptions of all streams, by name, with their cursors. No parameters. No row: no relay has run yet. There are a handful; reads the
 * table.
 *
 * The age of a save is for the database's clock to tell.
 */
export const listSubscriptions = (subscriptions: Identifier): string => `
  select stream,
         subscription,
         state,
         state_reason,
         owner is not null and lease_until >= utc_timestamp(6) as is_held,
         epoch,
         last_id,
         holes,
         config_hash,
         timestampdiff(microsecond, saved_at, utc_timestamp(6)) / 1000 as saved_ago_ms
  from ${subscriptions}
  order by stream, subscription`;
