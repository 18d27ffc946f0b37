import type { Identifier } from "@waybill/sql";

/**
 * Notes a check that decided nothing, and gives its lease back. $1, $2 producer and id · $3 version · $4 whether there was an answer · $5 what it
 * said · $6 milliseconds to the next check, null: none · $7 whether "not found" begins, goes on or ends · $8 whether this suspends it.
 *
 * No row: it is in another version.
 */
export const writeChecked = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set check_token       = null,
      check_at          = clock_timestamp() + $6::float8 * interval '1 millisecond',
      checks_answered   = checks_answered + case when $4::boolean then 1 else 0 end,
      checks_unanswered = checks_unanswered + case when $4::boolean then 0 else 1 end,
      unanswered_run    = case when $4::boolean then 0 else unanswered_run + 1 end,
      not_found_since   = case $7::text when 'begins' then clock_timestamp() when 'ends' then null else not_found_since end,
      last_check        = $5,
      last_check_at     = clock_timestamp(),
      state             = case when $8::boolean then 'suspended' else state end,
      version           = version + case when $8::boolean then 1 else 0 end,
      suspend_at        = case when $8::boolean then null else suspend_at end
  where producer = $1 and id = $2
    and version = $3 and state in ('prepared', 'suspended')`;
