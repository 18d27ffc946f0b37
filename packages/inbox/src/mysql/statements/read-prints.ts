import type { Identifier } from "@waybill/sql";

/**
 * The messages that consumer ?2 has handled with the same content: ?1 a JSON array of objects with id, as hex, and print. Answers their places in
 * the array, from 1. Served by the primary key.
 */
export const readPrints = (inbox: Identifier): string => `
  select given.place
  from json_table(?, '$[*]' columns (
         place for ordinality, id varchar(510) path '$.id', print varchar(64) character set ascii path '$.print'
       )) as given
  straight_join ${inbox} as handled force index (primary) on handled.consumer = ? and handled.message_id = unhex(given.id)
  where handled.fingerprint = given.print`;
