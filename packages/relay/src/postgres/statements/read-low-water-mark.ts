import type { Identifier } from "@waybill/sql";

/**
 * Reads the low-water mark of stream $1, over all of its subscriptions: below it, no reader needs a row any more. One row; `low` is null if
 * there is no subscription. Served by the primary key.
 */
export const readLowWaterMark = (subscriptions: Identifier): string => `
  select min(least(last_id + 1, coalesce(hole_lo[1], last_id + 1)))::text as low
  from ${subscriptions}
  where stream = $1`;
