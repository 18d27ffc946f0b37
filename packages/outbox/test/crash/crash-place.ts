/** A database of either dialect for the crash tests: the application's tables, and the same questions in the words of each. */

import type { Connection, Database } from "@waybill/sql";
import { type TestDatabaseServer, waitUntil } from "@waybill/testing";
import { createOutbox, type Ledger } from "../../src/index.ts";
import { mysqlFixture } from "../mysql/mysql-fixture.ts";
import { outboxFixture } from "../outbox-fixture.ts";

export type Dialect = "postgres" | "mysql";

/** One text for each dialect. */
export type Said = Readonly<Record<Dialect, string>>;

export interface CrashPlace {
  readonly dialect: Dialect;
  readonly url: string;
  readonly database: Database;
  readonly ledger: Ledger;
  connect(): Promise<Connection>;
  /** One statement of the application's, committed. `?` stands for a value on both. */
  run(sql: string | Said, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  /** Waits until the server is done with the sessions of writers that are gone: none has a transaction open any more. */
  writersAreGone(): Promise<void>;
  clear(): Promise<void>;
  drop(): Promise<void>;
}

/** How writers are known to PostgreSQL. */
export const writerName = "waybill-test-writer";

export const { find } = createOutbox();

/** A database with the outbox and a table `business (ref)`. */
export async function crashPlace(server: TestDatabaseServer): Promise<CrashPlace> {
  const { dialect } = server;
  const fixture = dialect === "postgres" ? await outboxFixture(server) : await mysqlFixture(server);
  const run = (sql: string | Said, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> => {
    const text = typeof sql === "string" ? sql : sql[dialect];
    let place = 0;
    return fixture.run(dialect === "postgres" ? text.replaceAll("?", () => `$${++place}`) : text, values);
  };
  await run({ postgres: "create table business (ref uuid primary key)", mysql: "create table business (ref char(36) primary key)" });
  const openWriters: Said = {
    postgres: `select 1 from pg_stat_activity
               where datname = current_database() and application_name = '${writerName}' and state <> 'idle'`,
    mysql: `select 1 from information_schema.innodb_trx as open
            inner join information_schema.processlist as session on session.id = open.trx_mysql_thread_id
            where session.db = database() and session.id <> connection_id()`,
  };
  return {
    dialect,
    url: fixture.url,
    database: fixture.database,
    ledger: fixture.ledger,
    connect: fixture.connect,
    run,
    writersAreGone: async () => {
      // MariaDB and MySQL refresh what they tell of transactions only when nobody has asked for a tenth of a second.
      await waitUntil(async () => (await run(openWriters)).length === 0, {
        what: "the server is done with the writers",
        deadlineMs: 60_000,
        intervalMs: dialect === "postgres" ? 10 : 150,
      });
    },
    clear: async () => {
      await fixture.clear();
      await run({ postgres: "truncate business", mysql: "truncate table business" });
    },
    drop: fixture.drop,
  };
}
