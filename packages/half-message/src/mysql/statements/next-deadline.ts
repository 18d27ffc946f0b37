import type { Identifier } from "@waybill/sql";

/** Milliseconds to the next deadline of a prepared half message of a producer; negative: it has passed. Null: none is prepared. Served by the deadline index. */
export const nextDeadline = (halfMessages: Identifier): string => `
  select timestampdiff(microsecond, utc_timestamp(6), min(suspend_at)) / 1000 as after_ms
  from ${halfMessages} force index (deadline)
  where producer = ? and suspend_at is not null`;
