import type { Identifier } from "@waybill/sql";

/**
 * What speaks against messages, right after `claim-all.ts` in the same transaction.
 *
 * ?1 token · ?2 consumer · ?3 consumer · ?4 1: they wait behind any open dead letter of their lane, 0: behind one without a reason, or that its handler holds, only ·
 * ?5 retention in ms · ?6 a JSON array of objects with id, as hex, print, lane, the digest of the message's lane as hex, or none, and created,
 * in ms since 1970, or none · ?7 consumer.
 *
 * Answers the messages that something speaks against, by their place in the array, from 1: is_mine: the row was inserted by this attempt ·
 * is_same: the message that was handled had this content, if it is not · is_filed_same: null without a dead letter of this id, in any state;
 * 1: one has the same content, 0: none has · must_wait · too_old. No row: nothing does.
 *
 * The rows are ours or locked by us, so whatever another unit did to a message is committed and seen. Served by the primary key and two
 * indexes of the dead letters.
 */
export const readClaims = (inbox: Identifier, letters: Identifier): string => `
  select given.place,
         handled.token = ? as is_mine,
         handled.fingerprint = given.print as is_same,
         (
           select max(letter.fingerprint <=> given.print)
           from ${letters} as letter force index (message)
           where letter.origin = 'inbox' and letter.reader = ? and letter.message_id = unhex(given.id)
         ) as is_filed_same,
         (
           select 1
           from ${letters} as letter force index (lane)
           where letter.origin = 'inbox' and letter.reader = ?
             and letter.open_lane = unhex(given.lane)
             and (? = 1 or letter.reason is null or left(letter.reason, 5) = 'held:')
           limit 1
         ) as must_wait,
         coalesce(given.created < timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) / 1000 - ?, 0) as too_old
  from json_table(?, '$[*]' columns (
         place for ordinality,
         id varchar(510) path '$.id',
         print varchar(64) character set ascii path '$.print',
         lane char(64) path '$.lane',
         created double path '$.created'
       )) as given
  straight_join ${inbox} as handled force index (primary) on handled.consumer = ? and handled.message_id = unhex(given.id)
  having is_mine = 0 or is_filed_same is not null or must_wait is not null or too_old = 1`;
