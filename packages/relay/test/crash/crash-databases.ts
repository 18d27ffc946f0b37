import { forEachMysql, type TestDatabaseServer, testServers } from "@waybill/testing";

/** Calls `define` for one server of each kind: a PostgreSQL, a MariaDB and a MySQL. */
export async function forEachKind(define: (server: TestDatabaseServer) => void): Promise<void> {
  const [postgres] = testServers();
  if (postgres !== undefined) define({ ...postgres, dialect: "postgres" });
  await forEachMysql(define);
}
