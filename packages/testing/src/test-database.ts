import { randomBytes } from "node:crypto";
import { type Connection, createConnection } from "mysql2/promise";
import { Client } from "pg";
import { type LazyServerName, lazyServers, testServer, testServers } from "./test-servers.ts";

export interface TestDatabaseOptions {
  /** URL of a superuser or of a role that may create databases. Wins over `server`. */
  readonly url?: string;
  /** A server's name, such as `postgres-local`, `mariadb-local` or `mysql`; `embedded` and `local` are PostgreSQL's. Default: the first of this run. */
  readonly server?: string;
}

/** A database of one's own. */
export interface TestDatabase {
  readonly name: string;
  readonly url: string;
  /** Ends every session in it and removes it. A second drop resolves with the first. */
  drop(): Promise<void>;
}

/** What the two dialects do differently. */
interface DatabaseMaker {
  create(serverUrl: string, name: string): Promise<void>;
  drop(serverUrl: string, name: string): Promise<void>;
}

const deadlineMs = 30_000;

/**
 * Creates an empty UTF-8 database with a random name. Drop it at the end; one per test file is usual. On MySQL and MariaDB text is
 * compared by its bytes (`utf8mb4_bin`).
 *
 * Where no set-up lists servers, the URL comes from the environment, else it is the standard port's: user `postgres` on 127.0.0.1:5432,
 * `root` on 127.0.0.1:3306.
 */
export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const serverUrl = options.url ?? (await urlOf(options.server));
  const name = `waybill_test_${randomBytes(6).toString("hex")}`;
  const maker = makerFor(serverUrl);
  await maker.create(serverUrl, name);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  let dropped: Promise<void> | null = null;
  return {
    name,
    url: url.href,
    drop() {
      dropped ??= maker.drop(serverUrl, name);
      return dropped;
    },
  };
}

async function urlOf(wanted: string | undefined): Promise<string> {
  if (wanted !== undefined && isLazy(wanted)) {
    const server = await testServer(wanted);
    if (server === null) throw new Error(`This test run has no "${wanted}".`);
    return server.url;
  }
  const servers = testServers();
  if (servers.length === 0 && (wanted === undefined || wanted === "local" || wanted === "postgres-local")) {
    return process.env.WAYBILL_TEST_POSTGRES_URL ?? "postgres://postgres@127.0.0.1:5432/postgres";
  }
  const server = servers.find(({ name }) => wanted === undefined || name === wanted || name === `postgres-${wanted}`);
  if (server !== undefined) return server.url;
  const listed = [...servers.map(({ name }) => name), ...Object.keys(lazyServers)].join(", ");
  throw new Error(`This test run has no database server "${wanted}"; it knows: ${listed}.`);
}

function isLazy(name: string): name is LazyServerName {
  return Object.hasOwn(lazyServers, name);
}

function makerFor(serverUrl: string): DatabaseMaker {
  const scheme = new URL(serverUrl).protocol;
  if (scheme === "postgres:" || scheme === "postgresql:") return postgres;
  if (scheme === "mysql:" || scheme === "mariadb:") return mysql;
  throw new Error(`A test database is made on postgres://, mysql:// or mariadb://, not on ${scheme}//.`);
}

const postgres: DatabaseMaker = {
  // template0, because nobody can be connected to it: a template that is in use cannot be copied.
  create: (url, name) => onPostgres(url, (client) => client.query(`create database ${name} template template0 encoding 'UTF8'`)),
  drop: (url, name) => onPostgres(url, (client) => dropOnPostgres(client, name)),
};

/**
 * pg's `end` resolves when the goodbye is sent, so a session that was just ended may still be there. It gets a moment to leave: a forced end would
 * reach it as an error that nobody expects any more. Whoever stays longer, as a session that waits for a lock, is ended.
 */
async function dropOnPostgres(client: Client, name: string): Promise<void> {
  const leavingSince = performance.now();
  while (performance.now() - leavingSince < leavingMs) {
    const { rows } = await client.query("select 1 from pg_stat_activity where datname = $1 limit 1", [name]);
    if (rows.length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await client.query(`drop database if exists ${name} with (force)`);
}

const leavingMs = 500;

async function onPostgres(url: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000, query_timeout: deadlineMs });
  client.on("error", () => undefined); // the statement's own rejection tells
  try {
    await client.connect();
    await work(client);
  } finally {
    await client.end();
  }
}

const mysql: DatabaseMaker = {
  create: (url, name) =>
    onMysql(url, async (connection) => {
      await connection.query(`create database ${name} character set utf8mb4 collate utf8mb4_bin`);
    }),
  drop: (url, name) => onMysql(url, (connection) => dropOnMysql(connection, name)),
};

/**
 * Sessions that hold a lock in it would make `drop database` wait, so they are killed first; one that comes in between is killed in the
 * next round. A session that is rolling back is gone when it has done so, which is why a round may end with the lock's deadline.
 */
async function dropOnMysql(connection: Connection, name: string): Promise<void> {
  await connection.query("set session lock_wait_timeout = 2");
  const startedAt = performance.now();
  for (;;) {
    // MySQL refuses `information_schema.processlist` while any session runs a statement with a character beyond the BMP.
    const [sessions] = await connection.query("show processlist");
    for (const { Id, db } of sessions as { Id: number; db: string | null }[]) if (db === name) await kill(connection, Id);
    try {
      await connection.query(`drop database if exists ${name}`);
      return;
    } catch (error) {
      const isLocked = (error as { errno?: number }).errno === lockWaitTimeout;
      if (!isLocked || performance.now() - startedAt > deadlineMs) throw error;
    }
  }
}

const lockWaitTimeout = 1205;
const noSuchThread = 1094;

async function kill(connection: Connection, id: number): Promise<void> {
  try {
    await connection.query(`kill connection ${id}`);
  } catch (error) {
    if ((error as { errno?: number }).errno !== noSuchThread) throw error; // it ended by itself in between
  }
}

async function onMysql(url: string, work: (connection: Connection) => Promise<void>): Promise<void> {
  const connection = await createConnection({ uri: url, connectTimeout: 10_000 });
  connection.on("error", () => undefined); // the statement's own rejection tells
  try {
    await work(connection);
  } finally {
    connection.destroy();
  }
}
