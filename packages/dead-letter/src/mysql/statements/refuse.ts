import type { Identifier } from "@waybill/sql";

/**
 * released → dead, once more. ?1 reason · ?2 attempts since the release · ?3 1 if one of them ended unknown, else 0 · ?4, ?5, ?6, ?7 origin,
 * reader, sequence and message id of the row.
 *
 * No row changed: it was not released any more. Served by the primary key.
 */
export const refuseDeadLetter = (letters: Identifier): string => `
  update ${letters}
  set state         = 'dead',
      reason        = ?,
      attempts      = attempts + ?,
      may_be_stored = greatest(may_be_stored, ?),
      given_up_at   = utc_timestamp(6)
  where origin = ? and reader = ?
    and sequence = cast(? as signed) and message_id = ?
    and state = 'released'`;
