import type { Identifier } from "@waybill/sql";

/**
 * What consumer ?3 knows about message ?11, right after `claim.ts` in the same transaction. Always one row.
 *
 * ?1 token · ?2 fingerprint · ?3, ?4 consumer and message id · ?5, ?6 consumer and digest of the message's lane, or null · ?7 1: it waits
 * behind any open dead letter of its lane, 0: behind one without a reason, or that its handler holds, only · ?8 when it was created in ms since 1970, or null · ?9
 * retention in ms · ?10, ?11 consumer and message id.
 *
 * is_mine: the row was inserted by this attempt · fingerprint: of the message that was handled, if it is not · is_filed_same: null without a
 * dead letter of this id, in any state; 1: one has the same content, 0: none has · must_wait · too_old.
 *
 * The row is ours or locked by us, so whatever another unit did to the message is committed and seen. Served by the primary key and two
 * indexes of the dead letters.
 */
export const readClaim = (inbox: Identifier, letters: Identifier): string => `
  select token = ? as is_mine,
         fingerprint,
         (
           select max(letter.fingerprint <=> ?)
           from ${letters} as letter force index (message)
           where letter.origin = 'inbox' and letter.reader = ? and letter.message_id = ?
         ) as is_filed_same,
         (
           select 1
           from ${letters} as letter force index (lane)
           where letter.origin = 'inbox' and letter.reader = ?
             and letter.open_lane = ?
             and (? = 1 or letter.reason is null or left(letter.reason, 5) = 'held:')
           limit 1
         ) as must_wait,
         ? < timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) / 1000 - ? as too_old
  from ${inbox}
  where consumer = ? and message_id = ?`;
