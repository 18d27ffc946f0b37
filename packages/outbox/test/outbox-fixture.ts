/** A database with the outbox in it, and sessions to it, for the server tests of this package. */
import { type Connection, type Database, migrateUp, namespace, openDatabase } from "@waybill/sql";
import { type TestServer, testDatabase } from "@waybill/testing";
import pg from "pg";
import { createLedger, type Ledger, outboxMigrations } from "../src/index.ts";

export interface OutboxFixture {
  readonly url: string;
  readonly database: Database;
  readonly ledger: Ledger;
  /** A dedicated connection of ours, as a relay has them. */
  connect(): Promise<Connection>;
  /** A session of the application's. */
  client(): Promise<pg.Client>;
  /** One statement of the application's, committed. */
  run(sql: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  /** Empties the ledger and begins its ids anew. */
  clear(): Promise<void>;
  drop(): Promise<void>;
}

export async function outboxFixture(server: TestServer): Promise<OutboxFixture> {
  const own = await testDatabase({ server: server.name });
  const database = openDatabase({ url: own.url });
  await migrateUp(database, namespace("postgres"), [outboxMigrations]);
  const connections: Connection[] = [];
  const clients: pg.Client[] = [];

  const client = async (): Promise<pg.Client> => {
    const made = new pg.Client({ connectionString: own.url });
    made.on("error", () => undefined); // dropping the database ends sessions
    await made.connect();
    clients.push(made);
    return made;
  };
  const main = await client();
  await main.query("set lock_timeout = '10s'"); // a test that leaves a transaction open fails soon
  const run = async (sql: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> =>
    (await main.query(sql, [...values])).rows as Record<string, unknown>[];

  return {
    url: own.url,
    database,
    ledger: createLedger({ space: namespace("postgres") }),
    connect: async () => {
      const made = await database.connect({ purpose: "test" });
      connections.push(made);
      return made;
    },
    client,
    run,
    clear: async () => {
      await run("truncate waybill_outbox restart identity");
      await run("truncate waybill_outbox_id, waybill_outbox_delayed");
      await run("update waybill_stream set removed_to = 0");
    },
    drop: async () => {
      await Promise.all(connections.map((connection) => connection.close()));
      await Promise.all(clients.map((open) => open.end()));
      await database.close();
      await own.drop();
    },
  };
}

/** Inserts a row by hand, as a service in another language would; answers nothing. */
export const insertRow = "insert into waybill_outbox (type, topic, key, payload) values ('shop.order.placed.v1', 'orders', $1, $2)";
