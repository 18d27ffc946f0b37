import type { Identifier } from "@waybill/sql";

/** How often consumer ?1 has started and failed at message ?2. No row: nothing was counted. Served by the primary key. */
export const readAttempts = (attempts: Identifier): string => `
  select started, failed
  from ${attempts}
  where consumer = ? and message_id = ?`;
