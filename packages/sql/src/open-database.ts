import type { Clock, OnEvent, Random, Secret } from "@waybill/core";
import type { Database } from "./database.ts";
import { openPostgres } from "./postgres/database.ts";

/** How the database is reached, and how long we wait for it. */
export interface DatabaseOptions {
  /**
   * `postgres://user:password@host:5432/database`, as the `pg` driver reads it: TLS by `?sslmode=verify-full&sslrootcert=…`, further
   * settings as parameters. Never shown in an error or event.
   */
  readonly url: string | Secret;
  /** Connections in the pool for short work. Default 2. Dedicated ones (`connect`) come on top. */
  readonly connections?: number;
  /** Milliseconds for one statement. Default 10 000. Less gives up sooner on a slow server; more hangs longer on a dead one. */
  readonly statementDeadlineMs?: number;
  /** Milliseconds to open a connection, and for the BEGIN of a unit of work. Default 5 000. */
  readonly connectDeadlineMs?: number;
  /** What the server shows in `pg_stat_activity`; the purpose of a dedicated connection is put behind it. Default `waybill`. */
  readonly applicationName?: string;
  readonly clock?: Clock;
  readonly random?: Random;
  /** `sql.connectionLost`, `sql.unitRepeated`. */
  readonly onEvent?: OnEvent;
}

/**
 * A database with connections of our own. Nothing is opened before it is needed; what was lost is opened again on demand.
 * Whoever opens it closes it.
 *
 * @throws WAYBILL_CONFIG_INVALID with every problem; for a URL of another database, too
 */
export function openDatabase(options: DatabaseOptions): Database {
  return openPostgres(options);
}
