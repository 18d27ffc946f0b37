import type { Identifier } from "@waybill/sql";

/**
 * Notes a check that decided nothing, and gives its lease back. Values: milliseconds to the next check, null: none · 1 if there was an answer, else 0,
 * three times · whether "not found" begins, goes on or ends · what the check said · 1 if this suspends it, else 0, three times · producer · id · version.
 * An assignment sees what those before it have made.
 *
 * No row: it is in another version.
 */
export const writeChecked = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set check_token       = null,
      check_at          = utc_timestamp(6) + interval (? * 1000) microsecond,
      checks_answered   = checks_answered + ?,
      checks_unanswered = checks_unanswered + (1 - ?),
      unanswered_run    = if(? = 1, 0, unanswered_run + 1),
      not_found_since   = case ? when 'begins' then utc_timestamp(6) when 'goesOn' then not_found_since end,
      last_check        = ?,
      last_check_at     = utc_timestamp(6),
      state             = if(? = 1, 'suspended', state),
      suspend_at        = if(? = 1, null, suspend_at),
      version           = version + ?
  where producer = ? and id = ?
    and version = ? and state in ('prepared', 'suspended')`;
