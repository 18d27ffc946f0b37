import { createConnection } from "mysql2/promise";
import { serviceUrl } from "./compose.ts";
import { startMariadb } from "./mariadb.ts";
import { startMysql } from "./mysql.ts";
import { mysqlGreeting, shortVersion } from "./mysql-greeting.ts";
import type { Found, ServerKind } from "./server-kind.ts";

/** Both speak one protocol on one port; which of them it is stands in the version that it greets with. */
type Make = "mariadb" | "mysql";

const titles = { mariadb: "MariaDB", mysql: "MySQL" } as const;

export const mariadbKind: ServerKind = {
  title: "MariaDB",
  variable: "WAYBILL_TEST_MARIADB_URL",
  atStandardPort: () => atStandardPort("mariadb", mariadbKind.variable),
  compose: {
    name: "mariadb",
    port: 3306,
    url: (address, { MARIADB_ROOT_PASSWORD: password }) => serviceUrl({ scheme: "mysql", address, user: "root", password }),
  },
  launchedFrom: "started from the installed programs",
  launch: () => startMariadb(),
  version: (url) => versionOf("mariadb", url),
  advice: "install mariadb-server, or put the URL of a MariaDB into WAYBILL_TEST_MARIADB_URL",
};

/** A second, newer version: it has another default for what a transaction sees of rows that others have changed. */
export const mariadb11Kind: ServerKind = {
  ...mariadbKind,
  title: "MariaDB 11",
  variable: "WAYBILL_TEST_MARIADB_11_URL",
  async atStandardPort() {
    const found = await atStandardPort("mariadb", mariadb11Kind.variable);
    if ("reason" in found) return found;
    const version = await versionOf("mariadb", found.url);
    return Number.parseInt(version, 10) >= 11 ? found : { reason: `on 127.0.0.1:3306 there is a MariaDB ${version}` };
  },
  launchedFrom: "started from Debian sid's package",
  launch: () => startMariadb({ suite: "sid" }),
  advice: "use Debian with its apt, start a docker engine, or put the URL of a MariaDB from 11 on into WAYBILL_TEST_MARIADB_11_URL",
};

export const mysqlKind: ServerKind = {
  title: "MySQL",
  variable: "WAYBILL_TEST_MYSQL_URL",
  atStandardPort: () => atStandardPort("mysql", mysqlKind.variable),
  compose: {
    name: "mysql",
    port: 3306,
    url: (address, { MYSQL_ROOT_PASSWORD: password }) => serviceUrl({ scheme: "mysql", address, user: "root", password }),
  },
  launchedFrom: "started from Debian sid's package",
  launch: () => startMysql(),
  version: (url) => versionOf("mysql", url),
  advice: "use Debian with its apt, start a docker engine, or put the URL of a MySQL into WAYBILL_TEST_MYSQL_URL",
};

async function atStandardPort(wanted: Make, variable: string): Promise<Found> {
  const where = "on 127.0.0.1:3306";
  const greeting = await mysqlGreeting({ host: "127.0.0.1", port: 3306 });
  if (greeting.kind === "silent") return { reason: `${where} nobody answers` };
  if (greeting.kind === "refuses") return { reason: `${where} a server takes no connection from here` };
  if (greeting.kind !== wanted) return { reason: `${where} there is a ${titles[greeting.kind]} ${greeting.version}` };
  const url = "mysql://root@127.0.0.1:3306";
  try {
    await versionOf(wanted, url);
    return { url };
  } catch (error) {
    const { errno } = error as { errno?: number };
    return { reason: `${where} a ${titles[wanted]} does not let root in without a password (error ${errno}): put a URL into ${variable}` };
  }
}

async function versionOf(wanted: Make, url: string): Promise<string> {
  const connection = await createConnection({ uri: url, connectTimeout: 5_000 });
  connection.on("error", () => undefined); // the query's own rejection tells
  try {
    const [rows] = await connection.query({ sql: "select version() as version", timeout: 5_000 });
    const { version } = (rows as [{ version: string }])[0];
    const make: Make = /mariadb/i.test(version) ? "mariadb" : "mysql";
    if (make !== wanted) throw new Error(`it is a ${titles[make]} ${shortVersion(version)}`);
    return shortVersion(version);
  } finally {
    connection.destroy();
  }
}
