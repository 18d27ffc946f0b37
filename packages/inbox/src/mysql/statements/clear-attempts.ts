import type { Identifier } from "@waybill/sql";

/** Forgets the attempts of consumer ?1 at message ?2. Served by the primary key. Answers no row. */
export const clearAttempts = (attempts: Identifier): string => `
  delete from ${attempts}
  where consumer = ? and message_id = ?`;
