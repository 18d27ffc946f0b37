import type { Identifier } from "@waybill/sql";

/**
 * Reads the low-water mark of stream $1, over all of its subscriptions: below it, no reader needs a row any more; and which subscription it is
 * that needs the row at it, the first by name if they are several. No row: there is no subscription. Served by the primary key.
 */
export const readLowWaterMark = (subscriptions: Identifier): string => `
  select
    least(last_id + 1, coalesce(hole_lo[1], last_id + 1))::text as low,
    subscription,
    state,
    owner is not null and lease_until >= clock_timestamp() as is_held
  from ${subscriptions}
  where stream = $1
  order by least(last_id + 1, coalesce(hole_lo[1], last_id + 1)), subscription
  limit 1`;
