import type { Identifier } from "@waybill/sql";

/**
 * released → done for the row of origin ?1 and reader ?2 with sequence ?3 and message id ?4.
 *
 * No row changed: it was not released any more. Served by the primary key.
 */
export const finishDeadLetter = (letters: Identifier): string => `
  update ${letters}
  set state      = 'done',
      decided_at = utc_timestamp(6)
  where origin = ? and reader = ?
    and sequence = cast(? as signed) and message_id = ?
    and state = 'released'`;
