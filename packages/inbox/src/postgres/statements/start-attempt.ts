import type { Identifier } from "@waybill/sql";

/**
 * Counts the start of an attempt of consumer $1 at message $2, unless it is handled. Answers the counts with it.
 * No row: the message is handled, nothing was counted. Served by the primary keys.
 */
export const startAttempt = (attempts: Identifier, inbox: Identifier): string => `
  insert into ${attempts} as attempt (consumer, message_id, started, failed)
  select $1, $2, 1, 0
  where not exists (select from ${inbox} where consumer = $1 and message_id = $2)
  on conflict (consumer, message_id) do update
  set started    = attempt.started + 1,
      counted_at = clock_timestamp()
  returning attempt.started, attempt.failed`;
