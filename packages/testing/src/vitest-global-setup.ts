/**
 * Servers for this repository's own test run, once per run. Two of them are there from the start: PostgreSQL 18 from npm, and one that
 * was here before us. Every other one is found or started when the first test asks for it.
 *
 * Tests find them through `testServers()`, `testServer(name)` and what builds on these. At the end what was started is stopped, and a
 * table says what was used, from where, and what was skipped and why: into the file `WAYBILL_TEST_SERVERS_FILE`, or to the console when
 * nobody asked for a file.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type DeskAnswer, deskAnswer, openServerDesk } from "./server-desk.ts";
import { startPostgres } from "./servers/postgres.ts";
import { type ProvidedServer, provideServer } from "./servers/provide-server.ts";
import { type LazyServerName, lazyServers, serverDeskVariable, testServersVariable } from "./test-servers.ts";

const composeFile = fileURLToPath(new URL("../../../docker-compose.yml", import.meta.url));

/** Starts or finds the servers. With `CI=true` a server that is missing fails the run, unless it is optional. */
export async function setup(): Promise<() => Promise<void>> {
  const asked = new Map<string, Promise<ProvidedServer>>();
  const reported: ProvidedServer[] = [];
  const provide = (name: string, server: () => Promise<ProvidedServer>): Promise<ProvidedServer> => {
    const known = asked.get(name);
    if (known !== undefined) return known;
    const started = server().then((provided) => {
      reported.push(provided);
      if (provided.kind === "skipped") console.warn(`SKIPPED ${name}: ${provided.reason}. To test on it: ${provided.advice}.`);
      writeReport(reported);
      return provided;
    });
    asked.set(name, started);
    return started;
  };
  const stopAll = async (): Promise<void> => {
    const settled = await Promise.allSettled(asked.values());
    await Promise.all(
      settled.map(async (each) => (each.status === "fulfilled" && each.value.kind === "used" ? each.value.stop() : undefined)),
    );
  };

  const postgres = await Promise.all([
    provide("postgres-embedded", () =>
      provideServer({
        kind: "postgres",
        name: "postgres-embedded",
        providers: ["launcher"],
        // A process that is killed loses nothing by fsync=off; only a machine that loses power would.
        launch: () => startPostgres({ settings: { fsync: "off", max_connections: "200", max_prepared_transactions: "20" } }),
      }),
    ),
    provide("postgres-local", () =>
      provideServer({ kind: "postgres", name: "postgres-local", providers: ["environment", "standardPort", "compose"], composeFile }),
    ),
  ]);
  const used = postgres.filter((server) => server.kind === "used");
  const skipped = postgres.filter((server) => server.kind === "skipped");
  process.env[testServersVariable] = JSON.stringify(used.map(({ name, url, version }) => ({ name, url, version })));
  if (used.length === 0 || (isCi() && skipped.length > 0)) {
    await stopAll();
    throw new Error(`Servers that the tests need are missing. ${skipped.map(({ name, reason }) => `${name}: ${reason}`).join(" | ")}`);
  }

  const desk = await openServerDesk(async (name): Promise<DeskAnswer> => {
    if (!Object.hasOwn(lazyServers, name)) return { kind: "failed", message: `There is no test server "${name}".` };
    const { kind, isOptional } = lazyServers[name as LazyServerName];
    const provided = await provide(name, () => provideServer({ kind, name, composeFile }));
    return deskAnswer(provided, { isOptional, isCi: isCi() });
  });
  process.env[serverDeskVariable] = desk.address;

  return async () => {
    await desk.close();
    await stopAll();
    if (reportFile() === undefined) console.table(rowsOf(reported));
  };
}

function isCi(): boolean {
  return process.env.CI === "true";
}

function reportFile(): string | undefined {
  const file = process.env.WAYBILL_TEST_SERVERS_FILE;
  return file === "" ? undefined : file;
}

/** Written after each server, so that a run that is killed has told what it used. */
function writeReport(provided: readonly ProvidedServer[]): void {
  const file = reportFile();
  if (file !== undefined) writeFileSync(file, JSON.stringify(rowsOf(provided)));
}

/** Without credentials. With several hosts it is no URL that could be parsed. */
function addressOf(url: string): string {
  return url.replace(/^[^/]*\/\/(?:[^@/]*@)?/, "").replace(/[/?#].*$/, "");
}

/** One row per server. */
function rowsOf(provided: readonly ProvidedServer[]): readonly Record<string, string>[] {
  return provided.map((server) =>
    server.kind === "used"
      ? { server: server.name, state: "used", version: server.version, address: addressOf(server.url), why: server.from }
      : { server: server.name, state: "skipped", version: "–", address: "–", why: `${server.reason}. To test on it: ${server.advice}` },
  );
}
