import type { Database } from "./database.ts";
import { type Namespace, tableOf } from "./identifier.ts";
import { mysqlRights } from "./mysql/rights.ts";
import { postgresRights } from "./postgres/rights.ts";
import type { ServerFinding } from "./server-report.ts";

/** What somebody wants to do with a table. */
export interface WantedRights {
  /** Without its prefix: `outbox`. */
  readonly table: string;
  /** A column of it that this right is wanted for: rights may be granted by column. */
  readonly column: string;
  readonly rights: readonly ("select" | "insert" | "update" | "delete")[];
}

/**
 * Asks whether this connection's role may do what is wanted, and what else it should know about its role and session. Changes nothing.
 * A table that is not there is none of its business: see `checkSchema`.
 *
 * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export async function inspectRights(
  database: Pick<Database, "dialect" | "query">,
  space: Namespace,
  wanted: readonly WantedRights[],
): Promise<readonly ServerFinding[]> {
  const { missingRights, readFindings } = database.dialect === "postgres" ? postgresRights : mysqlRights;
  const findings: ServerFinding[] = [];
  for (const { table, column, rights } of wanted) {
    const missing = await missingRights(database, { table: tableOf(space, table), column, rights });
    if (missing.length > 0) {
      findings.push({
        level: "refused",
        rule: "rights",
        found: `no ${missing.join(", ")} on ${space.prefix}${table}`,
        advice: `grant ${missing.join(", ")} on ${space.prefix}${table} to this role.`,
      });
    }
  }
  return [...findings, ...(await readFindings(database, tableOf(space, "outbox")))];
}

/** The same, for one dialect. */
export interface RightsOf {
  /** Those that are missing. */
  missingRights(
    database: Pick<Database, "query">,
    wanted: Omit<WantedRights, "table"> & { readonly table: string },
  ): Promise<WantedRights["rights"]>;
  /** Besides missing rights. */
  readFindings(database: Pick<Database, "query">, outbox: string): Promise<readonly ServerFinding[]>;
}
