/**
 * Where a test run gets a PostgreSQL from: the first provider that has one.
 *
 *     environment ──▶ standardPort ──▶ compose ──▶ launcher ──▶ skipped, with the reason of each
 *
 * What somebody named, we insist on: a URL in the environment that does not answer is an error, not a reason to look elsewhere.
 */
import { Client } from "pg";
import { composePostgres } from "./compose.ts";
import { startPostgres } from "./postgres.ts";
import { postgresGreeting } from "./postgres-greeting.ts";

/** `environment`: `WAYBILL_TEST_POSTGRES_URL`. `standardPort`: 127.0.0.1:5432, user `postgres`, trusted. */
export type PostgresProvider = "environment" | "standardPort" | "compose" | "launcher";

export interface ProvidePostgresOptions {
  /** Stands in the table and in tests' names. Default `postgres`. */
  readonly name?: string;
  /** Who is asked, in this order. Default: all four. */
  readonly providers?: readonly PostgresProvider[];
  /** Settings for the launcher: `startPostgres`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** For the provider `compose`, whose service is called `postgres`. Default `docker-compose.yml` in the current folder. */
  readonly composeFile?: string;
}

/** A server to test on, or why there is none. */
export type ProvidedPostgres =
  | {
      readonly kind: "used";
      readonly name: string;
      readonly url: string;
      readonly version: string;
      /** Where it comes from, in words. */
      readonly from: string;
      /** Stops it if we started it; does nothing to a server that was there before. */
      stop(): Promise<void>;
    }
  | { readonly kind: "skipped"; readonly name: string; readonly reason: string };

/** Found by one provider, or why not. */
export type Provided = { readonly url: string; readonly from: string; readonly stop: () => Promise<void> } | { readonly reason: string };

const notOurs = async (): Promise<void> => {};

/**
 * Asks each provider in turn. What it starts must be stopped.
 *
 * Rejects if `WAYBILL_TEST_POSTGRES_URL` is set and nobody answers there.
 */
export async function providePostgres(options: ProvidePostgresOptions = {}): Promise<ProvidedPostgres> {
  const name = options.name ?? "postgres";
  const reasons: string[] = [];
  for (const provider of options.providers ?? ["environment", "standardPort", "compose", "launcher"]) {
    const provided = await ask(provider, options);
    if ("reason" in provided) {
      reasons.push(provided.reason);
      continue;
    }
    const { url, from, stop } = provided;
    try {
      return { kind: "used", name, url, from, stop, version: await serverVersion(url) };
    } catch (error) {
      await stop();
      throw new Error(`The PostgreSQL for "${name}" (${from}) does not answer: ${(error as Error).message}`, { cause: error });
    }
  }
  return { kind: "skipped", name, reason: reasons.join("; ") };
}

async function ask(provider: PostgresProvider, options: ProvidePostgresOptions): Promise<Provided> {
  switch (provider) {
    case "environment": {
      const url = process.env.WAYBILL_TEST_POSTGRES_URL;
      return url === undefined || url === ""
        ? { reason: "WAYBILL_TEST_POSTGRES_URL is not set" }
        : { url, from: "WAYBILL_TEST_POSTGRES_URL", stop: notOurs };
    }
    case "standardPort": {
      const greeting = await postgresGreeting({ host: "127.0.0.1", port: 5432 });
      if (greeting === "welcome") return { url: "postgres://postgres@127.0.0.1:5432/postgres", from: "standard port", stop: notOurs };
      return { reason: `on 127.0.0.1:5432 ${standardPortProblems[greeting]}` };
    }
    case "compose":
      return composePostgres(options.composeFile ?? "docker-compose.yml");
    case "launcher":
      try {
        const server = await startPostgres(options.settings === undefined ? {} : { settings: options.settings });
        return { url: server.url, from: "started from npm's binaries", stop: () => server.stop() };
      } catch (error) {
        return { reason: (error as Error).message };
      }
  }
}

const standardPortProblems = {
  silent: "nobody answers",
  asks: "a PostgreSQL asks for a password: put it into WAYBILL_TEST_POSTGRES_URL",
  refuses: "a PostgreSQL does not let user postgres in",
} as const;

async function serverVersion(url: string): Promise<string> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 5_000 });
  client.on("error", () => undefined); // the query's own rejection tells
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version: string }>("show server_version");
    return rows[0]?.server_version.split(" ")[0] ?? "unknown";
  } finally {
    await client.end();
  }
}
