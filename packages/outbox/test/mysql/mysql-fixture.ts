/** A database on MySQL or MariaDB with the outbox in it, and sessions to it, for the server tests of this package. */
import { type Connection, type Database, migrateUp, namespace, openDatabase } from "@waybill/sql";
import { testDatabase } from "@waybill/testing";
import mysql from "mysql2/promise";
import { createLedger, type IdRange, type Ledger, type LedgerBatch, outboxMigrations, storedPayload } from "../../src/index.ts";

export interface MysqlFixture {
  readonly url: string;
  readonly database: Database;
  readonly ledger: Ledger;
  readonly isMariadb: boolean;
  /** A dedicated connection of ours, as a relay has them. */
  connect(): Promise<Connection>;
  /** A session of the application's. */
  client(options?: mysql.ConnectionOptions): Promise<mysql.Connection>;
  /** One statement of the application's, committed. */
  run(sql: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  /** Opens the session of `run` anew, after the server was restarted. */
  reconnect(): Promise<void>;
  /** Empties the ledger and begins its ids anew. */
  clear(): Promise<void>;
  drop(): Promise<void>;
}

/** `server`: a server of this run by its name, or one of the test's own by its URL. */
export async function mysqlFixture(server: { readonly name: string } | { readonly ownUrl: string }): Promise<MysqlFixture> {
  const own = await testDatabase("ownUrl" in server ? { url: server.ownUrl } : { server: server.name });
  const database = openDatabase({ url: own.url });
  await migrateUp(database, namespace("mysql"), [outboxMigrations]);
  const connections: Connection[] = [];
  const clients: mysql.Connection[] = [];

  const client = async (options: mysql.ConnectionOptions = {}): Promise<mysql.Connection> => {
    const made = await mysql.createConnection({ uri: own.url, timezone: "Z", supportBigNumbers: true, bigNumberStrings: true, ...options });
    made.on("error", () => undefined); // dropping the database ends sessions
    clients.push(made);
    return made;
  };
  const openMain = async (): Promise<mysql.Connection> => {
    const opened = await client();
    await opened.query("set session lock_wait_timeout = 10"); // a test that leaves a transaction open fails soon
    return opened;
  };
  let main = await openMain();
  const run = async (sql: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> => {
    const [rows] = await main.query(sql, [...values]);
    return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
  };
  const [version] = (await run("select version() as version")) as unknown as [{ version: string }];

  return {
    url: own.url,
    database,
    ledger: createLedger({ space: namespace("mysql") }),
    isMariadb: /mariadb/i.test(version.version),
    connect: async () => {
      const made = await database.connect({ purpose: "test" });
      connections.push(made);
      return made;
    },
    client,
    run,
    reconnect: async () => {
      main = await openMain();
    },
    clear: async () => {
      await run("truncate table waybill_outbox");
      await run("truncate table waybill_outbox_id");
      await run("truncate table waybill_outbox_delayed");
      await run("update waybill_stream set removed_to = 0");
    },
    drop: async () => {
      await Promise.all(connections.map((connection) => connection.close()));
      for (const open of clients) open.destroy();
      await database.close();
      await own.drop();
    },
  };
}

/** Inserts a row by hand, as a service in another language would. */
export const insertRow = "insert into waybill_outbox (type, topic, `key`, payload) values ('shop.order.placed.v1', 'orders', ?, ?)";

/** The payloads of a batch, and `fence` for a row that only takes an id. */
export function payloadsOf({ rows }: LedgerBatch): readonly unknown[] {
  return rows.map((row) => (row.type === "" && row.topic === "" ? "fence" : storedPayload(row)));
}

export const range = (low: number, high: number): IdRange => ({ low: BigInt(low), high: BigInt(high) });
