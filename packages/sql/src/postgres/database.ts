import { createDatabase } from "../create-database.ts";
import type { Database } from "../database.ts";
import type { DatabaseOptions } from "../open-database.ts";
import { checkDatabaseUrl } from "./database-url.ts";
import { openSession } from "./session.ts";

/** `openDatabase` for a URL of PostgreSQL. */
export function openPostgres(options: DatabaseOptions): Database {
  const url = checkDatabaseUrl(options.url);
  return createDatabase("postgres", options, (request, deadlineMs) => openSession({ url, ...request }, deadlineMs));
}
