import type { Identifier } from "@waybill/sql";

/** Half messages of a producer whose deadline passed more than so many milliseconds ago, the oldest first, at most so many. Served by the deadline index. */
export const findOverdue = (halfMessages: Identifier): string => `
  select id
  from ${halfMessages}
  where producer = ? and suspend_at <= utc_timestamp(6) - interval (? * 1000) microsecond
  order by suspend_at
  limit ?`;
