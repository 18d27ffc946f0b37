import { waybillError } from "@waybill/core";
import type { Database } from "./database.ts";
import type { Namespace } from "./identifier.ts";
import { inspectServer } from "./inspect-server.ts";
import type { ServerReport } from "./server-report.ts";

/**
 * Inspects a server and refuses it if a promise of ours would be broken on it. Engines do so when they start, beside `checkSchema`; what is
 * only warned about is in the report.
 *
 * @throws WAYBILL_LEDGER_UNSAFE with the first rule that refuses; WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export async function checkServer(database: Pick<Database, "dialect" | "query">, space?: Namespace): Promise<ServerReport> {
  const report = await inspectServer(database, space);
  const refusal = report.findings.find(({ level }) => level === "refused");
  if (refusal === undefined) return report;
  const { rule, found, advice } = refusal;
  throw waybillError("WAYBILL_LEDGER_UNSAFE", `${report.product} ${report.version} cannot be relied on (${rule}: ${found}). ${advice}`, {
    rule,
    found,
  });
}
