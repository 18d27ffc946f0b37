import type { Identifier } from "@waybill/sql";

/**
 * Takes one started attempt of consumer ?1 at message ?2 back that has not failed. Answers no row; none was changed: there is nothing
 * to take back. Served by the primary key.
 */
export const withdrawStart = (attempts: Identifier): string => `
  update ${attempts}
  set started = started - 1
  where consumer = ? and message_id = ?
    and started > failed`;
