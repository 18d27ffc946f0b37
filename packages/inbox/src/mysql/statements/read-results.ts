import type { Identifier } from "@waybill/sql";

/**
 * What consumer ?2 answered to messages or requests, as ?3 says: ?1 a JSON array of their ids as hex. Answers their places in the array, from 1. No row
 * of one: nothing was kept, or not so long. Served by the primary key.
 */
export const readResults = (results: Identifier): string => `
  select given.place, kept.fingerprint, kept.result
  from json_table(?, '$[*]' columns (place for ordinality, id varchar(510) path '$')) as given
  straight_join ${results} as kept force index (primary)
    on kept.consumer = ? and kept.origin = ? and kept.message_id = unhex(given.id)`;
