import { type Clock, type OnEvent, type Random, type Secret, throwConfigProblems } from "@waybill/core";
import type { Database } from "./database.ts";
import { openMysql } from "./mysql/database.ts";
import { openPostgres } from "./postgres/database.ts";
import type { Dialect } from "./tx.ts";

/** How the database is reached, and how long we wait for it. */
export interface DatabaseOptions {
  /**
   * `postgres://user:password@host:5432/database`, as the `pg` driver reads it: TLS by `?sslmode=verify-full&sslrootcert=…`, further
   * settings as parameters. Or `mysql://user:password@host:3306/database` (`mariadb://` is the same), with these parameters and no others:
   * `ssl-mode` (`disabled`, `required`, `verify-ca`, `verify-identity`), `ssl-ca`, `ssl-cert`, `ssl-key` (files), `socket` (a path). Never
   * shown in an error or event.
   */
  readonly url: string | Secret;
  /** Connections in the pool for short work. Default 2. Dedicated ones (`connect`) come on top. */
  readonly connections?: number;
  /** Milliseconds for one statement. Default 10 000. Less gives up sooner on a slow server; more hangs longer on a dead one. */
  readonly statementDeadlineMs?: number;
  /** Milliseconds to open a connection, and for the BEGIN of a unit of work. Default 5 000. */
  readonly connectDeadlineMs?: number;
  /** What the server shows in `pg_stat_activity`, or as `program_name` in `performance_schema.session_connect_attrs`; the purpose of a dedicated connection is put behind it. Default `waybill`. */
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
  return dialectOf(options.url) === "mysql" ? openMysql(options) : openPostgres(options);
}

function dialectOf(url: string | Secret): Dialect {
  const text = typeof url === "string" ? url : url.reveal();
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  switch (scheme) {
    case "postgres":
    case "postgresql":
      return "postgres";
    case "mysql":
    case "mariadb":
      return "mysql";
    default:
      throwConfigProblems("The database", [
        { option: "database", problem: "must be a URL that begins with postgres://, postgresql://, mysql:// or mariadb://" },
      ]);
      throw new Error("unreachable");
  }
}
