import type { Identifier } from "@waybill/sql";

/**
 * Removes rows of consumer ?2. ?1 a JSON array of ids as hex, see `find-old-attempts.ts` · ?3 their age in ms, looked at again. The count says how many
 * there still were.
 *
 * By id, because a DELETE that looks for old rows itself takes no hint, may lock all rows of the consumer, and locks the first one that is not
 * old: it would wait for whoever is handling that message. Served by the primary key.
 */
export const removeAttempts = (attempts: Identifier): string => `
  delete gone
  from json_table(?, '$[*]' columns (id varchar(510) path '$')) as old
  straight_join ${attempts} as gone force index (primary) on gone.consumer = ? and gone.message_id = unhex(old.id)
  where gone.counted_at < utc_timestamp(6) - interval ? * 1000 microsecond`;
