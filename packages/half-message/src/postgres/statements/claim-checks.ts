import type { Identifier } from "@waybill/sql";

/**
 * Leases at most $2 due checks of producer $1 for $3 ms under token $4, earliest first. Rows that somebody else is just claiming or deciding
 * are passed over. One whose lease ended without a word counts as unanswered, so that no number of a check is given out twice. Served by the due index.
 */
export const claimChecks = (halfMessages: Identifier): string => `
  with due as materialized ( -- once: joined as a sub-query it may be read again for each row, each time beyond its limit
    select producer, id
    from ${halfMessages}
    where producer = $1 and check_at <= clock_timestamp()
    order by check_at
    limit $2
    for update skip locked
  )
  update ${halfMessages} h
  set check_at          = clock_timestamp() + $3::float8 * interval '1 millisecond',
      check_token       = $4,
      checks_unanswered = h.checks_unanswered + case when h.check_token is null then 0 else 1 end,
      unanswered_run    = h.unanswered_run + case when h.check_token is null then 0 else 1 end
  from due
  where h.producer = due.producer and h.id = due.id
  returning h.id, h.barrier, h.checks_answered + h.checks_unanswered + 1 as check_number, h.traceparent,
            (extract(epoch from clock_timestamp() - h.prepared_at) * 1000)::float8 as age_ms`;
