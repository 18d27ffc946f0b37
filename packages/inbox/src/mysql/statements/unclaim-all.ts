import type { Identifier } from "@waybill/sql";

/**
 * Removes the rows of consumer ?2 for messages that the same unit inserted: ?1 a JSON array of ids, as hex. Served by the primary key. Answers
 * no row.
 */
export const unclaimAllMessages = (inbox: Identifier): string => `
  delete gone
  from json_table(?, '$[*]' columns (id varchar(510) path '$')) as given
  straight_join ${inbox} as gone force index (primary) on gone.consumer = ? and gone.message_id = unhex(given.id)`;
