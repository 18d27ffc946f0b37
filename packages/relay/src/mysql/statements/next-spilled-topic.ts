import type { Identifier } from "@waybill/sql";

/** The topic of the first copy of a subscription whose lane lies behind another: stream · subscription · that lane. No row: there is none. */
export const nextSpilledTopic = (spill: Identifier): string => `
  select topic
  from ${spill} as copied force index (lane)
  where copied.stream = ? and copied.subscription = ?
    and copied.lane > ?
  order by copied.stream, copied.subscription, copied.lane, copied.sequence
  limit 1`;
