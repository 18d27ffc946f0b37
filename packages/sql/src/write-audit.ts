import { type Namespace, tableOf } from "./identifier.ts";
import { insertAudit as insertMysqlAudit } from "./mysql/statements/insert-audit.ts";
import { insertAudit as insertPostgresAudit } from "./postgres/statements/insert-audit.ts";
import type { Tx } from "./tx.ts";

/** Who did what to which row, and why. Never a payload or a key. */
export interface AuditEntry {
  /** The person or program, as it named itself. */
  readonly who: string;
  /** What was done: `dead-letter.redrive`. */
  readonly what: string;
  /** To which row: `subscription default/kafka`. */
  readonly subject: string;
  /** The reason that was given. */
  readonly why?: string | null;
  /** Further facts: the state before, a count. */
  readonly detail?: string | null;
}

/** Writes one line of the audit, in the transaction that does what it tells: both happen or neither. */
export async function writeAudit(tx: Tx, space: Namespace, entry: AuditEntry): Promise<void> {
  const { who, what, subject, why = null, detail = null } = entry;
  const insertAudit = space.dialect === "postgres" ? insertPostgresAudit : insertMysqlAudit;
  await tx.query(insertAudit(tableOf(space, "audit")), [who, what, subject, why, detail]);
}
