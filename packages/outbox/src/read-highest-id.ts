import { type Namespace, type Statements, tableOf } from "@waybill/sql";
import { defaultStream, ledgerTables } from "./ledger-tables.ts";
import { readHighestId as readOnMysql } from "./mysql/statements/read-highest-id.ts";
import { readHighestId as readOnPostgres } from "./postgres/statements/read-highest-id.ts";

export interface ReadHighestIdOptions {
  /** Which ledger. Default `default`. */
  readonly stream?: string;
  readonly deadlineMs?: number;
}

/**
 * How far a ledger has come, for somebody who watches it: the highest id that was handed out, or on MySQL and MariaDB the highest that can be
 * seen. Costs one page. A relay asks `facts` instead, which is exact.
 *
 * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export async function readHighestId(
  statements: Pick<Statements, "queryText">,
  space: Namespace,
  { stream = defaultStream, ...options }: ReadHighestIdOptions = {},
): Promise<bigint> {
  const { outbox, sequence } = ledgerTables(space, stream);
  const rows = await (space.dialect === "postgres"
    ? statements.queryText(readOnPostgres(sequence), [], options)
    : statements.queryText(readOnMysql(outbox, tableOf(space, "stream")), [stream], options));
  return BigInt(rows[0]?.[0] ?? 0);
}
