import type { Identifier } from "@waybill/sql";

/**
 * Adds starts and failures to the attempts of consumer ?1 at message ?2: ?3, ?4 what they are if they are the first · ?5 starts and ?6 failures
 * to add. `read-attempts.ts` tells the counts with them. Served by the primary key.
 */
export const countAttempt = (attempts: Identifier): string => `
  insert into ${attempts} (consumer, message_id, started, failed)
  values (?, ?, ?, ?)
  on duplicate key update
    started    = started + ?,
    failed     = failed + ?,
    counted_at = utc_timestamp(6)`;
