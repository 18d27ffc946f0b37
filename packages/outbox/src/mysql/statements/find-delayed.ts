import type { Identifier } from "@waybill/sql";

/** Finds the row of the message with id ?, if it waits as far as this transaction sees. Locks nothing. Served by the unique key on message_id. */
export const findDelayed = (delayed: Identifier): string => `
  select id
  from ${delayed}
  where message_id = ?`;
