/** A database of either dialect with the outbox in it, and applications that use it: for tests that say the same of both. */
import { type Connection, type Database, migrateUp, type Namespace, namespace, openDatabase, type TransactionHandle } from "@waybill/sql";
import { type TestDatabaseServer, testDatabase } from "@waybill/testing";
import mysql from "mysql2/promise";
import pg from "pg";
import { outboxMigrations } from "../src/index.ts";

export type TestRow = Readonly<Record<string, unknown>>;

/** One statement, said in both dialects. */
export interface DialectSql {
  readonly postgres: string;
  readonly mysql: string;
}

/** A session of the application's. */
export interface Application {
  /** What `append` and `cancel` take, between `begin` and `commit`. */
  readonly handle: TransactionHandle;
  /** `?` stands for a value on both databases. Numbers of 64 bits come as text. */
  run(sql: string | DialectSql, values?: readonly unknown[]): Promise<readonly TestRow[]>;
}

export interface OutboxDatabase {
  readonly url: string;
  readonly database: Database;
  readonly space: Namespace;
  application(): Promise<Application>;
  connect(): Promise<Connection>;
  /** One statement of an application's, committed. */
  run: Application["run"];
  /** What the ledger holds in the order of ids: payloads as text, `fence` for a row that only takes an id. */
  ledger(table?: string): Promise<readonly string[]>;
  /** Empties the tables. */
  clear(): Promise<void>;
  drop(): Promise<void>;
}

export async function outboxDatabase(server: TestDatabaseServer): Promise<OutboxDatabase> {
  const own = await testDatabase({ server: server.name });
  const database = openDatabase({ url: own.url });
  const space = namespace(server.dialect);
  await migrateUp(database, space, [outboxMigrations]);
  const connections: Connection[] = [];
  const endings: (() => unknown)[] = [];
  const application = async (): Promise<Application> => {
    const opened = await (server.dialect === "postgres" ? openPostgres(own.url) : openMysql(own.url));
    endings.push(opened.end);
    return opened;
  };
  const { run } = await application();
  return {
    url: own.url,
    database,
    space,
    application,
    run,
    connect: async () => {
      const made = await database.connect({ purpose: "test" });
      connections.push(made);
      return made;
    },
    ledger: async (table = "waybill_outbox") =>
      (await run(`select case when topic = '' then 'fence' else payload end as said from ${table} order by id`)).map(({ said }) =>
        String(said),
      ),
    clear: async () => {
      for (const table of ["outbox", "outbox_id", "outbox_delayed", "confirmation"]) await run(`delete from waybill_${table}`);
    },
    drop: async () => {
      await Promise.all(connections.map((connection) => connection.close()));
      await Promise.all(endings.map((end) => end()));
      await database.close();
      await own.drop();
    },
  };
}

type Opened = Application & { readonly end: () => unknown };

async function openPostgres(url: string): Promise<Opened> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined); // dropping the database ends sessions
  await client.connect();
  return {
    handle: client,
    run: async (sql, values = []) => {
      let place = 0;
      const text = (typeof sql === "string" ? sql : sql.postgres).replaceAll("?", () => `$${++place}`);
      return (await client.query(text, [...values])).rows as TestRow[];
    },
    end: () => client.end(),
  };
}

async function openMysql(url: string): Promise<Opened> {
  const connection = await mysql.createConnection({ uri: url, timezone: "Z", supportBigNumbers: true, bigNumberStrings: true });
  connection.on("error", () => undefined); // dropping the database ends sessions
  return {
    handle: connection,
    run: async (sql, values = []) => {
      const [rows] = await connection.query(typeof sql === "string" ? sql : sql.mysql, [...values]);
      return Array.isArray(rows) ? (rows as TestRow[]) : [];
    },
    end: () => connection.destroy(),
  };
}
