import type { Identifier } from "@waybill/sql";

/**
 * Locks the row of origin ?1 and reader ?2 with sequence ?3 and message id ?4 until the unit ends, if it is still released.
 *
 * No row: it is not released any more, or another unit has it. Never waits for one. Served by the primary key.
 */
export const claimDeadLetter = (letters: Identifier): string => `
  select 1 as claimed
  from ${letters}
  where origin = ? and reader = ?
    and sequence = cast(? as signed) and message_id = ?
    and state = 'released'
  for update skip locked`;
