import type { Identifier } from "@waybill/sql";

/**
 * Counts the start of an attempt of consumer ?1 at message ?2, unless it is handled (?3, ?4 the same). `read-attempts.ts` tells the counts
 * with it. Nothing written: the message is handled. Served by the primary keys.
 */
export const startAttempt = (attempts: Identifier, inbox: Identifier): string => `
  insert into ${attempts} (consumer, message_id, started, failed)
  select ?, ?, 1, 0
  from dual
  where not exists (select 1 from ${inbox} as handled where handled.consumer = ? and handled.message_id = ?)
  on duplicate key update
    started    = ${attempts}.started + 1,
    counted_at = utc_timestamp(6)`;
