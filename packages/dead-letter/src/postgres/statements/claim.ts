import type { Identifier } from "@waybill/sql";

/**
 * Locks the row of reader $2 of origin $1 with sequence $3 and message id $4 until the unit ends, if it is still released.
 *
 * No row: it is not released any more, or another unit has it. Never waits for one. Served by the primary key.
 */
export const claimDeadLetter = (letters: Identifier): string => `
  select 1 as claimed
  from ${letters}
  where origin = $1 and reader = $2
    and sequence = $3 and message_id = $4
    and state = 'released'
  for update skip locked`;
