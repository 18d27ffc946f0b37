import type { Identifier } from "@waybill/sql";

/**
 * released → done for the row of reader $2 of origin $1 with sequence $3 and message id $4.
 *
 * No row: it was not released any more. Served by the primary key.
 */
export const finishDeadLetter = (letters: Identifier): string => `
  update ${letters}
  set state      = 'done',
      decided_at = clock_timestamp()
  where origin = $1 and reader = $2
    and sequence = $3 and message_id = $4
    and state = 'released'
  returning 1 as finished`;
