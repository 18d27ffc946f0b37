import type { Identifier } from "@waybill/sql";

/** Locks at most so many due checks of a producer, earliest first. Rows that somebody else is just claiming or deciding are passed over. Served by the due index. */
export const findDueChecks = (halfMessages: Identifier): string => `
  select id, barrier, checks_answered + checks_unanswered + (check_token is not null) + 1 as check_number, traceparent,
         timestampdiff(microsecond, prepared_at, utc_timestamp(6)) / 1000 as age_ms
  from ${halfMessages} force index (due)
  where producer = ? and check_at <= utc_timestamp(6)
  order by check_at
  limit ?
  for update skip locked`;
