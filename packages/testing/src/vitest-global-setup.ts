/**
 * Servers for this repository's own test run, once per run: PostgreSQL 18 from npm, and one that was here before us.
 *
 * Tests find them through `testServers()`. At the end what was started is stopped, and a table says what was used and what was
 * skipped and why: into the file `WAYBILL_TEST_SERVERS_FILE`, or to the console when nobody asked for a file.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type ProvidedPostgres, providePostgres } from "./servers/provide-postgres.ts";
import { testServersVariable } from "./test-servers.ts";

const composeFile = fileURLToPath(new URL("../../../docker-compose.yml", import.meta.url));

/** Starts or finds the servers. With `CI=true` a server that is missing fails the run. */
export async function setup(): Promise<() => Promise<void>> {
  const provided = await Promise.all([
    // A process that is killed loses nothing by fsync=off; only a machine that loses power would.
    providePostgres({
      name: "postgres-embedded",
      providers: ["launcher"],
      settings: { fsync: "off", max_connections: "200", max_prepared_transactions: "20" },
    }),
    providePostgres({ name: "postgres-local", providers: ["environment", "standardPort", "compose"], composeFile }),
  ]);
  const used = provided.filter((server) => server.kind === "used");
  const stopAll = async (): Promise<void> => {
    await Promise.all(used.map((server) => server.stop()));
  };
  const listed = used.map(({ name, url, version }) => ({ name, url, version }));
  process.env[testServersVariable] = JSON.stringify(listed);
  report(provided);
  const skipped = provided.flatMap((server) => (server.kind === "skipped" ? [`${server.name}: ${server.reason}`] : []));
  for (const line of skipped) console.warn(`SKIPPED ${line}`);
  if (skipped.length > 0 && (process.env.CI === "true" || used.length === 0)) {
    await stopAll();
    throw new Error(`Servers that the tests need are missing. ${skipped.join(" | ")}`);
  }
  return stopAll;
}

/** One row per server. Addresses are without credentials. */
function report(provided: readonly ProvidedPostgres[]): void {
  const rows = provided.map((server) =>
    server.kind === "used"
      ? { server: server.name, state: "used", version: server.version, address: new URL(server.url).host, why: server.from }
      : { server: server.name, state: "skipped", version: "–", address: "–", why: server.reason },
  );
  const file = process.env.WAYBILL_TEST_SERVERS_FILE;
  if (file === undefined || file === "") console.table(rows);
  else writeFileSync(file, JSON.stringify(rows));
}
