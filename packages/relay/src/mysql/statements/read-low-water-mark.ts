import type { Identifier } from "@waybill/sql";

/**
 * Reads the low-water mark of a stream, over all of its subscriptions: below it, no reader needs a row any more; and which subscription it is
 * that needs the row at it, the first by name if they are several. The first number of `holes` is the lowest id of the first range.
 *
 * stream. No row: there is no subscription. Served by the primary key.
 */
export const readLowWaterMark = (subscriptions: Identifier): string => `
  select
    least(last_id + 1, coalesce(cast(json_extract(holes, '$[0]') as signed), last_id + 1)) as low,
    subscription,
    state,
    owner is not null and lease_until >= utc_timestamp(6) as is_held
  from ${subscriptions}
  where stream = ?
  order by low, subscription
  limit 1`;
