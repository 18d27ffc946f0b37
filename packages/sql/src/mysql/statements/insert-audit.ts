import type { Identifier } from "../../identifier.ts";

/** ?1 who · ?2 what · ?3 subject · ?4 why, or null · ?5 detail, or null. The time is the database's. No rows. */
export const insertAudit = (audit: Identifier): string => `
  insert into ${audit} (who, what, subject, why, detail) values (?, ?, ?, ?, ?)`;
