import type { Database } from "./database.ts";
import type { Namespace } from "./identifier.ts";
import { inspectMysql } from "./mysql/inspect-server.ts";
import { inspectPostgres } from "./postgres/inspect-server.ts";
import type { ServerReport } from "./server-report.ts";

/**
 * Asks a server for what our promises depend on: its version, whether it takes writes, how durable a COMMIT is, and on MySQL how ids are
 * given out and changes are logged. Changes nothing and needs no rights; with a namespace its tables are looked at, too.
 *
 * It says how things are now and for sessions that set nothing of their own: settings can change later, and an application can
 * differ from them.
 *
 * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export async function inspectServer(database: Pick<Database, "dialect" | "query">, space?: Namespace): Promise<ServerReport> {
  return database.dialect === "postgres" ? inspectPostgres(database) : inspectMysql(database, space ?? null);
}
