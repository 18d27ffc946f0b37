import { randomUUID } from "node:crypto";
import type { WaybillEvent } from "@waybill/core";
import { type Database, migrateUp, namespace, openDatabase, type Row, type TransactionHandle } from "@waybill/sql";
import { type TestDatabase, type TestDatabaseServer, testDatabase } from "@waybill/testing";
import knex, { type Knex } from "knex";
import callbacks from "mysql2";
import mysql from "mysql2/promise";
import pg from "pg";
import { type Barrier, type BarrierOptions, barrierMigrations, createBarrier } from "../src/index.ts";

/** The libraries whose transactions can be joined. */
export type Library = "pg" | "mysql2" | "mysql2 with callbacks" | "knex";

/** An open transaction of some library. */
export interface OpenTransaction {
  readonly handle: TransactionHandle;
  /** The server's number of its connection. null: the library does not say. */
  readonly connectionId: number | null;
  say(sql: string): Promise<unknown>;
  commit(): Promise<unknown>;
  rollback(): Promise<unknown>;
}

/** A producer's database: the barrier's tables, and a business table `payment`. */
export interface BarrierFixture {
  readonly place: TestDatabase;
  readonly database: Database;
  /** A barrier of producer `payments`, with what it reports. Closed with the fixture. */
  barrier(options?: Partial<BarrierOptions>): { readonly barrier: Barrier; readonly events: WaybillEvent[] };
  /** Begins a transaction; ends with the fixture at the latest. */
  begin(library: Library, isolation?: string): Promise<OpenTransaction>;
  /** Whether a statement of the transaction waits for a lock, as the server tells it. */
  waitsForLock(open: OpenTransaction): Promise<boolean>;
  /** The barrier's rows: id → fate. */
  rows(): Promise<Readonly<Record<string, string>>>;
  payments(): Promise<number>;
  query(sql: string): Promise<readonly Row[]>;
  close(): Promise<void>;
}

export const newId = (): string => randomUUID();
/** A half message that was prepared a moment ago. */
export const asked = (id: string, ageMs = 10): { readonly id: string; readonly ageMs: number } => ({ id, ageMs });

export async function barrierFixture(server: TestDatabaseServer): Promise<BarrierFixture> {
  const { dialect } = server;
  const place = await testDatabase({ server: server.name });
  const database = openDatabase({ url: place.url, connections: 4 });
  await migrateUp(database, namespace(dialect), [barrierMigrations]);
  await database.query(`create table payment (id varchar(64) primary key)${dialect === "mysql" ? " engine = InnoDB" : ""}`, []);
  const closing: (() => Promise<unknown>)[] = [];
  let shop: Knex | null = null;

  const onKnex = async (isolation: string): Promise<OpenTransaction> => {
    shop ??= knex({ client: dialect === "postgres" ? "pg" : "mysql2", connection: place.url, pool: { min: 0, max: 10 } });
    const trx = await shop.transaction({ isolationLevel: isolation as Knex.IsolationLevels });
    trx.executionPromise.catch(() => undefined);
    const end = async (): Promise<void> => {
      if (!trx.isCompleted()) await trx.rollback();
    };
    closing.unshift(end);
    return {
      handle: trx,
      connectionId: null,
      say: async (sql) => trx.raw(sql),
      commit: async () => trx.commit(),
      rollback: async () => trx.rollback(),
    };
  };
  const onPg = async (isolation: string): Promise<OpenTransaction> => {
    const client = new pg.Client({ connectionString: place.url });
    client.on("error", () => undefined);
    await client.connect();
    closing.unshift(() => client.end());
    await client.query(`begin isolation level ${isolation}`);
    return {
      handle: client as unknown as TransactionHandle,
      connectionId: (client as unknown as { readonly processID: number }).processID,
      say: (sql) => client.query(sql),
      commit: async () => (await client.query("commit")).command,
      rollback: () => client.query("rollback"),
    };
  };
  const onMysql = async (isolation: string, hasCallbacks: boolean): Promise<OpenTransaction> => {
    const calling = hasCallbacks ? callbacks.createConnection(place.url) : null;
    const promised = calling === null ? await mysql.createConnection(place.url) : calling.promise();
    closing.unshift(() => promised.end());
    await promised.query(`set session transaction isolation level ${isolation}`);
    await promised.query("begin");
    return {
      handle: (calling ?? promised) as unknown as TransactionHandle,
      connectionId: promised.threadId,
      say: (sql) => promised.query(sql),
      commit: () => promised.query("commit"),
      rollback: () => promised.query("rollback"),
    };
  };

  return {
    place,
    database,
    barrier(options = {}) {
      const events: WaybillEvent[] = [];
      const barrier = createBarrier({ producer: "payments", database, onEvent: (event) => events.push(event), ...options });
      closing.push(() => barrier.close());
      return { barrier, events };
    },
    begin(library, isolation = "read committed") {
      if (library === "knex") return onKnex(isolation);
      return library === "pg" ? onPg(isolation) : onMysql(isolation, library !== "mysql2");
    },
    async waitsForLock({ connectionId }) {
      const waits =
        dialect === "postgres"
          ? `select 1 from pg_stat_activity where pid = ${connectionId} and wait_event_type = 'Lock'`
          : `select 1 from information_schema.innodb_trx where trx_mysql_thread_id = ${connectionId} and trx_state = 'LOCK WAIT'`;
      return (await database.query(waits, [])).length > 0;
    },
    async rows() {
      const rows = await database.query("select id, fate from waybill_barrier order by id", []);
      return Object.fromEntries(rows.map(({ id, fate }) => [String(id), String(fate)]));
    },
    async payments() {
      const [row] = await database.query("select count(*) as counted from payment", []);
      return Number(row?.["counted"]);
    },
    query: (sql) => database.query(sql, []),
    async close() {
      for (const end of closing) await end();
      await shop?.destroy();
      await database.close();
      await place.drop();
    },
  };
}
