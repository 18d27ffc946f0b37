/**
 * One connection of the application that uses the ledger: what writers and the run itself work with. Raw drivers, nothing of the product in between.
 */
import type { Socket } from "node:net";
import { createConnection } from "mysql2/promise";
import pg from "pg";

export type Dialect = "postgres" | "mysql";
export type Row = Readonly<Record<string, unknown>>;

/** One statement, said in both dialects. `?` stands for a value in both. */
export type Sql = string | Readonly<Record<Dialect, string>>;

export interface Session {
  readonly dialect: Dialect;
  /** What `append` takes, between begin and commit. */
  readonly handle: pg.Client;
  /** 64-bit numbers come as text. */
  run(sql: Sql, values?: readonly unknown[]): Promise<readonly Row[]>;
  /** Sends a statement and cuts the connection in the same step: nobody will know what became of it. */
  runUnheard(sql: Sql): void;
  /** Cuts the connection, as the kernel does for a process that was killed. What is under way rejects. */
  cut(): void;
  end(): Promise<void>;
}

const connectDeadlineMs = 5_000;
const lockWaitSeconds = 10;

export const dialectOf = (url: string): Dialect => (url.startsWith("postgres") ? "postgres" : "mysql");

/** Rejects if nobody answers in time. */
export function connectSession(url: string): Promise<Session> {
  return dialectOf(url) === "postgres" ? connectPostgres(url) : connectMysql(url);
}

const textOf = (sql: Sql, dialect: Dialect): string => (typeof sql === "string" ? sql : sql[dialect]);

async function connectPostgres(url: string): Promise<Session> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: connectDeadlineMs,
    lock_timeout: lockWaitSeconds * 1_000,
  });
  client.on("error", () => undefined); // the statement that is under way rejects
  await client.connect();
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  return {
    dialect: "postgres",
    handle: client,
    async run(sql, values = []) {
      let place = 0;
      const text = textOf(sql, "postgres").replaceAll("?", () => `$${++place}`);
      return (await client.query(text, [...values])).rows as Row[];
    },
    runUnheard(sql) {
      client.query(textOf(sql, "postgres")).catch(() => undefined);
      stream.destroySoon();
    },
    cut: () => {
      stream.destroy();
    },
    end: () => client.end(),
  };
}

async function connectMysql(url: string): Promise<Session> {
  const connection = await createConnection({
    uri: url.replace(/^mariadb:/, "mysql:"),
    supportBigNumbers: true,
    bigNumberStrings: true,
    connectTimeout: connectDeadlineMs,
  });
  connection.on("error", () => undefined); // the statement that is under way rejects
  const { stream } = (connection as unknown as { connection: { stream: Socket } }).connection;
  await connection.query(`set session innodb_lock_wait_timeout = ${lockWaitSeconds}`);
  return {
    dialect: "mysql",
    // A mysql2 connection fits `append` as well; one type stands for both.
    handle: connection as unknown as pg.Client,
    async run(sql, values = []) {
      const [rows] = await connection.query(textOf(sql, "mysql"), [...values]);
      return Array.isArray(rows) ? (rows as Row[]) : [];
    },
    runUnheard(sql) {
      connection.query(textOf(sql, "mysql")).catch(() => undefined);
      stream.destroySoon();
    },
    // Not the driver's own way to close: statements that wait for an answer would wait for ever.
    cut: () => {
      stream.destroy();
    },
    end: async () => connection.destroy(),
  };
}
