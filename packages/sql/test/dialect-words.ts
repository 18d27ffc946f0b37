/** How the two dialects say what these tests need. */

import type { TestDatabaseServer } from "@waybill/testing";
import type { DatabaseFacts } from "../src/session.ts";

export interface DialectWords {
  /** With `?` for each value, in the dialect's own placeholders. */
  readonly say: (sql: string) => string;
  /** A query that takes this long. */
  readonly sleep: (seconds: number) => string;
  /** A statement that fails for a reason of its own, and the facts of its error. */
  readonly failing: string;
  readonly failingFacts: Pick<DatabaseFacts, "sqlState" | "errno" | "isTransient">;
  /** A statement that fails as if a deadlock had been found. */
  readonly deadlock: string;
  readonly deadlockFacts: Pick<DatabaseFacts, "sqlState" | "errno">;
  readonly duplicateKey: Pick<DatabaseFacts, "sqlState" | "errno">;
  /** This session's number, as `id`. */
  readonly sessionId: string;
  readonly kill: (id: number) => string;
  /** One row while this session is there. */
  readonly session: (id: number) => string;
  /** One row for each session with this application name, and whether it is at work. */
  readonly sessionsOf: (applicationName: string) => string;
  readonly activeSessionsOf: (applicationName: string) => string;
  /** A COMMIT on the wire, for a fault proxy; `read committed`, which every session says when it opens, is none. */
  readonly commit: string;
  /** The type of a short text that can be a key. */
  readonly key: string;
}

const postgres: DialectWords = {
  say: (sql) => {
    let place = 0;
    return sql.replaceAll("?", () => `$${++place}`);
  },
  sleep: (seconds) => `select pg_sleep(${seconds})`,
  failing: "select 1/0",
  failingFacts: { sqlState: "22012", errno: null, isTransient: false },
  deadlock: "do $$ begin raise sqlstate '40P01'; end $$",
  deadlockFacts: { sqlState: "40P01", errno: null },
  duplicateKey: { sqlState: "23505", errno: null },
  sessionId: "select pg_backend_pid() as id",
  kill: (id) => `select pg_terminate_backend(${id})`,
  session: (id) => `select 1 from pg_stat_activity where pid = ${id}`,
  sessionsOf: (name) => `select pid as id from pg_stat_activity where application_name like '${name}'`,
  activeSessionsOf: (name) => `select pid as id from pg_stat_activity where application_name like '${name}' and state <> 'idle'`,
  commit: "commit",
  key: "text",
};

const mysql: Omit<DialectWords, "commit" | "sessionsOf" | "activeSessionsOf"> = {
  say: (sql) => sql,
  sleep: (seconds) => `select sleep(${seconds}) as slept`,
  failing: "select nothing from nowhere",
  failingFacts: { sqlState: "42S02", errno: 1146, isTransient: false },
  deadlock: "signal sqlstate '40001' set mysql_errno = 1213, message_text = 'made up'",
  deadlockFacts: { sqlState: "40001", errno: 1213 },
  duplicateKey: { sqlState: "23000", errno: 1062 },
  sessionId: "select connection_id() as id",
  kill: (id) => `kill connection ${id}`,
  session: (id) => `select 1 from information_schema.processlist where id = ${id}`,
  key: "varchar(64) character set utf8mb4 collate utf8mb4_bin",
};

/** MariaDB keeps no application names, for its performance_schema is off: there a session is known by its database. */
const mariadb: DialectWords = {
  ...mysql,
  commit: "\u0003commit",
  sessionsOf: () => "select id as id from information_schema.processlist where db = database() and id <> connection_id()",
  activeSessionsOf: () =>
    "select id as id from information_schema.processlist where db = database() and id <> connection_id() and command <> 'Sleep'",
};

const oracle: DialectWords = {
  ...mysql,
  commit: "\u0001commit",
  sessionsOf: (name) => `
    select processlist_id as id from performance_schema.session_account_connect_attrs
    where attr_name = 'program_name' and attr_value like '${name}'`,
  activeSessionsOf: (name) => `
    select id as id
    from performance_schema.session_account_connect_attrs
    join performance_schema.processlist on processlist_id = id
    where attr_name = 'program_name' and attr_value like '${name}' and command <> 'Sleep'`,
};

/** Before the text of a COMMIT: the command on MariaDB, the end of the (empty) attributes of a query on MySQL. */
export function wordsOf(server: TestDatabaseServer): DialectWords {
  if (server.dialect === "postgres") return postgres;
  return server.name.startsWith("mariadb") ? mariadb : oracle;
}
