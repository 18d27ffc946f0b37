import type { Identifier } from "@waybill/sql";
import { dueAt } from "./due-at.ts";

/**
 * Claims `count` ids: ? message id, fingerprint, token of the first, and when its message is due (see `due-at.ts`), from when on the claim counts
 * if that is not past; then of the next. To be given by id, so that two callers with the same ids wait for each other instead of running into a deadlock.
 *
 * An id that was claimed before keeps its row; one that another transaction is claiming is waited for. The number of rows says nothing about
 * which of both it was: `read-claims.ts` does. A value that does not fit is an error, which `insert ignore` would have swallowed.
 */
export const claimOwnIds = (ids: Identifier, count: number): string => `
  insert into ${ids} (message_id, fingerprint, token, created_at)
  values ${Array.from({ length: count }, () => `(?, ?, ?, greatest(${dueAt}, utc_timestamp(6)))`).join(",\n    ")}
  on duplicate key update message_id = ${ids}.message_id`;
