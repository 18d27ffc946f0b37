import type { Identifier } from "@waybill/sql";
import { standingColumns } from "./standing-columns.ts";

/**
 * Decides the rows of $1, a JSON array of objects, that are locked and in the version in which they were judged, enters each in the log, and answers them as they
 * stand then, those that are committed with where their messages go. $2: milliseconds until their bodies may go. Fewer rows than asked for: the lock was not what we thought, and nothing may be committed.
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
    where h.producer = d.producer and h.id = d.id
      and h.version = d.version and h.state in ('prepared', 'suspended')
    returning ${standingColumns}
  ),
  entered as (
    insert into ${log} (producer, id, at, event, from_state, to_state, actor, reason, check_number)
    select d.producer, d.id, clock_timestamp(), d.state, d.from_state, d.state, d.actor, d.reason, d.check_number
    from asked d
  )
  select decided.*, case when decided.state = 'committed' then (
           select json_agg(json_build_object(
                    'producer', b.producer, 'id', b.id, 'ordinal', b.ordinal, 'message_id', b.message_id, 'key', b.key,
                    'business_key', b.business_key, 'delay_ms', b.delay_ms, 'destinations', b.destinations) order by b.ordinal)::text
           from ${bodies} b
           where b.producer = decided.producer and b.id = decided.id
         ) end as messages
  from decided
  order by decided.producer, decided.id`;
