/**
 * One connection of an application: what writers of a fault run work with, and the run itself. Raw drivers, nothing of the product in between,
 * the same on PostgreSQL, MySQL and MariaDB, and a way to lose it at any moment.
 */
import type { Socket } from "node:net";
import type { PgClient } from "@waybill/sql";
import { createConnection } from "mysql2/promise";
import { Client } from "pg";

export type SessionDialect = "postgres" | "mysql";
export type SessionRow = Readonly<Record<string, unknown>>;

/** One statement, said in both dialects. `?` stands for a value in both. */
export type SessionSql = string | Readonly<Record<SessionDialect, string>>;

export interface Session {
  readonly dialect: SessionDialect;
  /** What `append` takes, between begin and commit. A mysql2 connection fits it as well; one type stands for both. */
  readonly handle: PgClient;
  /** 64-bit numbers come as text. */
  run(sql: SessionSql, values?: readonly unknown[]): Promise<readonly SessionRow[]>;
  /** Sends a statement and cuts the connection in the same step: nobody will know what became of it. */
  runUnheard(sql: SessionSql): void;
  /** Cuts the connection, as the kernel does for a process that was killed. What is under way rejects. */
  cut(): void;
  end(): Promise<void>;
}

const connectDeadlineMs = 5_000;
const lockWaitSeconds = 10;

export const sessionDialect = (url: string): SessionDialect => (url.startsWith("postgres") ? "postgres" : "mysql");

/** Rejects if nobody answers in time. */
export function connectSession(url: string): Promise<Session> {
  return sessionDialect(url) === "postgres" ? connectPostgres(url) : connectMysql(url);
}

/** Errors after which the server has surely not committed, although COMMIT was sent: it said so itself. */
const refusals: ReadonlySet<unknown> = new Set(["40001", "40P01", "ER_LOCK_DEADLOCK"]);

/** How a transaction ended whose COMMIT was sent and rejected with this error. */
export function outcomeOfFailedCommit(error: unknown): "rolledBack" | "unknown" {
  return refusals.has((error as { readonly code?: unknown } | null)?.code) ? "rolledBack" : "unknown";
}

const textOf = (sql: SessionSql, dialect: SessionDialect): string => (typeof sql === "string" ? sql : sql[dialect]);

async function connectPostgres(url: string): Promise<Session> {
  const client = new Client({
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
      return (await client.query(text, [...values])).rows as SessionRow[];
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
    handle: connection as unknown as PgClient,
    async run(sql, values = []) {
      const [rows] = await connection.query(textOf(sql, "mysql"), [...values]);
      return Array.isArray(rows) ? (rows as SessionRow[]) : [];
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
