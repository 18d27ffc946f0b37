import type { Identifier } from "@waybill/sql";

/** Removes the row of consumer ?1 for message ?2 that the same unit inserted. Served by the primary key. Answers no row. */
export const unclaimMessage = (inbox: Identifier): string => `
  delete from ${inbox}
  where consumer = ? and message_id = ?`;
