import type { Identifier } from "@waybill/sql";
import type { IdRange } from "../../ledger.ts";
import { idsOf } from "./ids-of.ts";

/**
 * Takes the ids of holes with rows that every reader skips: their type and topic are empty. All of them, or none on any error – 1062: a row is there
 * by now; 1205: somebody owns a row or the gap; 1213: in a deadlock it was ours to give way.
 *
 * MariaDB can be told for one statement not to wait for locks. MySQL reads \`shorten-lock-wait.ts\` before.
 */
export const fenceIds = (outbox: Identifier, holes: readonly IdRange[]): string => `
  /*M! set statement innodb_lock_wait_timeout = 0 for */
  insert into ${outbox} (id, type, topic)
  values ${idsOf(holes)
    .map((id) => `(${id},'','')`)
    .join(", ")}`;
