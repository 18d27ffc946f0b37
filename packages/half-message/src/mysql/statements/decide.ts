import type { Identifier } from "@waybill/sql";
import { repeated } from "./repeated.ts";

/**
 * Decides so many rows of one producer, all in the same way by the same actor, that are locked and in the version in which they were judged. Values: state · actor ·
 * milliseconds until their bodies may go · what the check said, three times (null: none) · producer, version, and the ids. Fewer rows than asked for: the
 * lock was not what we thought, and nothing may be committed.
 */
export const decideRows = (halfMessages: Identifier, count: number): string => `
  update ${halfMessages}
  set state           = ?,
      version         = version + 1,
      decided_at      = utc_timestamp(6),
      decided_by      = ?,
      purge_at        = utc_timestamp(6) + interval (? * 1000) microsecond,
      suspend_at      = null,
      check_at        = null,
      check_token     = null,
      order_open      = null,
      checks_answered = checks_answered + (? is not null),
      last_check_at   = if(? is null, last_check_at, utc_timestamp(6)),
      last_check      = coalesce(?, last_check)
  where producer = ? and version = ? and id in (${repeated("?", count, ", ")})
    and state in ('prepared', 'suspended')`;
