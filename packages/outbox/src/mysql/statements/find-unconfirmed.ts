import type { Identifier } from "@waybill/sql";

/** Whether message ?1 waits for consumer ?2, without a lock. Served by the primary key. */
export const findUnconfirmed = (confirmations: Identifier): string => `
  select 1 as waits
  from ${confirmations}
  where message_id = ? and consumer = ?`;
