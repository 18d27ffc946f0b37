import type { Identifier } from "@waybill/sql";

/** The attempts at delivery ?1, the last first, at most 100. Served by the primary key. */
export const listAttempts = (attempts: Identifier): string => `
  select attempt, timestampdiff(microsecond, '1970-01-01', started_at) / 1000 as started_at_ms, took_ms, outcome, status, error
  from ${attempts}
  where delivery_seq = ?
  order by attempt desc
  limit 100`;
