import type { Identifier } from "@waybill/sql";

/**
 * Producers, and when the next check of each is due; null: none is. A loose scan of the due index, which costs what there are producers. A correlated
 * subquery would read the whole index, and a condition might.
 */
export const dueProducers = (halfMessages: Identifier): string => `
  select producer, timestampdiff(microsecond, utc_timestamp(6), min(check_at)) / 1000 as after_ms
  from ${halfMessages}
  group by producer`;
