import type { Identifier } from "@waybill/sql";

/** At most $3 half messages of producer $1 whose deadline passed more than $2 ms ago, the oldest first. Served by the deadline index. */
export const findOverdue = (halfMessages: Identifier): string => `
  select id
  from ${halfMessages}
  where producer = $1 and suspend_at <= clock_timestamp() - $2::float8 * interval '1 millisecond'
  order by suspend_at
  limit $3`;
