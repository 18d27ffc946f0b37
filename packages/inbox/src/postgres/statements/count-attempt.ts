import type { Identifier } from "@waybill/sql";

/**
 * Adds $3 starts and $4 failures to the attempts of consumer $1 at message $2, and answers the counts with them.
 * Always one row. Served by the primary key.
 */
export const countAttempt = (attempts: Identifier): string => `
  insert into ${attempts} as attempt (consumer, message_id, started, failed)
  values ($1, $2, greatest($3::integer, $4::integer), $4::integer)
  on conflict (consumer, message_id) do update
  set started    = attempt.started + $3::integer,
      failed     = attempt.failed + $4::integer,
      counted_at = clock_timestamp()
  returning attempt.started, attempt.failed`;
