import { createDatabase } from "../create-database.ts";
import type { Database } from "../database.ts";
import type { DatabaseOptions } from "../open-database.ts";
import { readDatabaseUrl } from "./database-url.ts";
import { openSession } from "./session.ts";

/** `openDatabase` for a URL of MySQL or MariaDB. */
export function openMysql(options: DatabaseOptions): Database {
  const address = readDatabaseUrl(options.url);
  return createDatabase("mysql", options, (request, deadlineMs) => openSession({ address, ...request }, deadlineMs));
}
