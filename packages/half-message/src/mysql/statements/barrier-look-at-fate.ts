import type { Identifier } from "@waybill/sql";

/**
 * Looks at the row of half message ?2 of producer ?1 without waiting. An error – 3572 on MySQL, 1205 on MariaDB – says that a transaction
 * that has inserted it is still open. A shared lock, for which SELECT is right enough. Served by the primary key.
 */
export const lookAtFate = (barrier: Identifier, isMaria: boolean): string => `
  select fate
  from ${barrier}
  where producer = ? and id = ?
  ${isMaria ? "lock in share mode" : "for share"} nowait`;
