import type { Identifier } from "@waybill/sql";

/**
 * Reads the low-water mark of a stream, over all of its subscriptions: below it, no reader needs a row any more. The first number of `holes` is
 * the lowest id of the first range.
 *
 * stream. One row; `low` is null if there is no subscription. Served by the primary key.
 */
export const readLowWaterMark = (subscriptions: Identifier): string => `
  select min(least(last_id + 1, coalesce(cast(json_extract(holes, '$[0]') as signed), last_id + 1))) as low
  from ${subscriptions}
  where stream = ?`;
