import { Client } from "pg";
import { serviceUrl } from "./compose.ts";
import { startPostgres } from "./postgres.ts";
import { postgresGreeting } from "./postgres-greeting.ts";
import type { ServerKind } from "./server-kind.ts";

export const postgresKind: ServerKind = {
  title: "PostgreSQL",
  variable: "WAYBILL_TEST_POSTGRES_URL",
  async atStandardPort() {
    const greeting = await postgresGreeting({ host: "127.0.0.1", port: 5432 });
    if (greeting === "welcome") return { url: "postgres://postgres@127.0.0.1:5432/postgres" };
    return { reason: `on 127.0.0.1:5432 ${standardPortProblems[greeting]}` };
  },
  compose: {
    name: "postgres",
    port: 5432,
    url: (address, { POSTGRES_USER: user, POSTGRES_PASSWORD: password }) =>
      serviceUrl({ scheme: "postgres", address, user: user ?? "postgres", password, path: "/postgres" }),
  },
  launchedFrom: "started from npm's binaries",
  launch: () => startPostgres(),
  version: postgresVersion,
  advice: "run PostgreSQL on 127.0.0.1:5432 with user postgres trusted, or put a URL into WAYBILL_TEST_POSTGRES_URL",
};

const standardPortProblems = {
  silent: "nobody answers",
  asks: "a PostgreSQL asks for a password: put it into WAYBILL_TEST_POSTGRES_URL",
  refuses: "a PostgreSQL does not let user postgres in",
} as const;

async function postgresVersion(url: string): Promise<string> {
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
