import type { Identifier } from "@waybill/sql";

/** Milliseconds to the next deadline of a prepared half message of producer $1; negative: it has passed. Null: none is prepared. Served by the deadline index. */
export const nextDeadline = (halfMessages: Identifier): string => `
  select (extract(epoch from min(suspend_at) - clock_timestamp()) * 1000)::float8 as after_ms
  from ${halfMessages}
  where producer = $1 and suspend_at is not null`;
