import type { Identifier } from "@waybill/sql";

/**
 * Removes results of consumer ?2. ?1 a JSON array of origins and ids as hex, see `find-old-results.ts` · ?3 their age in ms, looked at again. The count
 * says how many there still were. By id, as in `remove-handled.ts`. Served by the primary key.
 */
export const removeResults = (results: Identifier): string => `
  delete gone
  from json_table(?, '$[*]' columns (
         origin varchar(10) character set ascii path '$.origin', id varchar(510) path '$.id'
       )) as old
  straight_join ${results} as gone force index (primary)
    on gone.consumer = ? and gone.origin = old.origin and gone.message_id = unhex(old.id)
  where gone.kept_at < utc_timestamp(6) - interval ? * 1000 microsecond`;
