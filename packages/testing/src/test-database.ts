import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { testServers } from "./test-servers.ts";

export interface TestDatabaseOptions {
  /** URL of a superuser or of a role that may create databases. Wins over `server`. */
  readonly url?: string;
  /** `embedded` or `local`, or a server's full name. Default: the first of this run. */
  readonly server?: string;
}

/** A database of one's own. */
export interface TestDatabase {
  readonly name: string;
  readonly url: string;
  /** Ends every session in it and removes it. A second drop resolves with the first. */
  drop(): Promise<void>;
}

/**
 * Creates an empty UTF-8 database with a random name. Drop it at the end; one per test file is usual.
 *
 * Where no set-up lists servers, the URL comes from `WAYBILL_TEST_POSTGRES_URL`, else it is user `postgres` on 127.0.0.1:5432.
 */
export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const serverUrl = options.url ?? urlOf(options.server);
  const name = `waybill_test_${randomBytes(6).toString("hex")}`;
  // template0, because nobody can be connected to it: a template that is in use cannot be copied.
  await run(serverUrl, `create database ${name} template template0 encoding 'UTF8'`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  let dropped: Promise<void> | null = null;
  return {
    name,
    url: url.href,
    drop() {
      dropped ??= run(serverUrl, `drop database if exists ${name} with (force)`);
      return dropped;
    },
  };
}

function urlOf(wanted: string | undefined): string {
  const servers = testServers();
  if (servers.length === 0 && (wanted === undefined || wanted === "local" || wanted === "postgres-local")) {
    return process.env.WAYBILL_TEST_POSTGRES_URL ?? "postgres://postgres@127.0.0.1:5432/postgres";
  }
  const server = servers.find(({ name }) => wanted === undefined || name === wanted || name === `postgres-${wanted}`);
  if (server !== undefined) return server.url;
  const listed = servers.map(({ name }) => name).join(", ");
  throw new Error(`This test run has no PostgreSQL "${wanted}"; it has: ${listed === "" ? "none" : listed}.`);
}

async function run(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000, query_timeout: 30_000 });
  client.on("error", () => undefined); // the statement's own rejection tells
  try {
    await client.connect();
    await client.query(statement);
  } finally {
    await client.end();
  }
}
