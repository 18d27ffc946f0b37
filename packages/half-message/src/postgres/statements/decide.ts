import type { Identifier } from "@waybill/sql";

/**
 * Decides the rows of $1, a JSON array of objects, that are locked and in the version in which they were judged, and enters each in the log. Answers each as often
 * as it has messages that go out, and once with nulls if it has none: in the order of $1 and of the messages. $2: milliseconds until their bodies may go. A row that
 * misses in the answer was not locked as we thought, and nothing may be committed.
 *
 * Rows are found by the primary key and changed where they are, which is safe for what is locked. Only so does a plan that is kept never read the whole table.
 */
export const decideRows = (halfMessages: Identifier, bodies: Identifier, log: Identifier): string => `
  with asked as (
    select *
    from json_to_recordset($1::json) as d (
      producer text collate "C", id text collate "C", version integer, from_state text, state text, actor text, last_check text, reason text,
      check_number integer)
  ),
  decided as (
    update ${halfMessages} h
    set state           = d.state,
        version         = h.version + 1,
        decided_at      = clock_timestamp(),
        decided_by      = d.actor,
        purge_at        = clock_timestamp() + $2::float8 * interval '1 millisecond',
        suspend_at      = null,
        check_at        = null,
        check_token     = null,
        order_open      = null,
        checks_answered = h.checks_answered + case when d.last_check is null then 0 else 1 end,
        last_check      = coalesce(d.last_check, h.last_check),
        last_check_at   = case when d.last_check is null then h.last_check_at else clock_timestamp() end
    from asked d
    cross join lateral (
      select ctid
      from ${halfMessages}
      where producer = d.producer and id = d.id
      offset 0
    ) as found
    where h.ctid = found.ctid
      and h.version = d.version and h.state in ('prepared', 'suspended')
    returning h.producer, h.id, h.state, date_part('epoch', h.decided_at) * 1000 as decided_at_ms
  ),
  entered as (
    insert into ${log} (producer, id, at, event, from_state, to_state, actor, reason, check_number)
    select d.producer, d.id, clock_timestamp(), d.state, d.from_state, d.state, d.actor, d.reason, d.check_number
    from asked d
  )
  select decided.producer, decided.id, decided.decided_at_ms, b.ordinal, b.message_id, b.key, b.business_key, b.delay_ms, b.destinations
  from decided
  left join lateral (
    select *
    from ${bodies}
    where decided.state = 'committed' and producer = decided.producer and id = decided.id
    order by ordinal
    offset 0
  ) as b on true`;
