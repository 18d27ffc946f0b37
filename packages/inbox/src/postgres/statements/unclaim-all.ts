import type { Identifier } from "@waybill/sql";

/** Removes the rows of consumer $1 for messages $2, an array of ids, that the same unit inserted. Served by the primary key. Answers no row. */
export const unclaimAllMessages = (inbox: Identifier): string => `
  delete from ${inbox}
  where consumer = $1 and message_id = any ($2::text[])`;
