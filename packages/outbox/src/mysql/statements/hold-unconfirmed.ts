import type { Identifier } from "@waybill/sql";

/** Locks message ?1 that waits for consumer ?2, and waits for whoever has it. No row: it does not wait any more. Served by the primary key. */
export const holdUnconfirmed = (confirmations: Identifier): string => `
  select 1 as waits
  from ${confirmations}
  where message_id = ? and consumer = ?
  for update`;
