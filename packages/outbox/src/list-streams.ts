import { type Namespace, type Statements, tableOf } from "@waybill/sql";

/**
 * The ledgers of a namespace, by name.
 *
 * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export async function listStreams(statements: Pick<Statements, "query">, space: Namespace): Promise<readonly string[]> {
  const rows = await statements.query(`select name from ${tableOf(space, "stream")} order by name`, []);
  return rows.map((row) => String(row["name"]));
}
