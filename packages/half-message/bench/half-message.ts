/**
 * What a half message costs, and what a service does with many that nobody decided.
 *
 *     half-pairs        64 callers, a signed prepare and commit over HTTP on the loopback each, beside the same rows written by hand with single-row
 *                       statements on as many connections: at least 0.6 of the bare pairs per second
 *     half-batch        100 prepares in a call, then 100 commits in a call                                at least 3
 *     half-one-caller   one caller after the other: median time of a pair beside that of the bare pair    at most 2.5
 *     half-idle         the service after all that, 100 producers configured: its share of a core         at most 0.01
 *     half-undecided    100 producers, each with 1 000 half messages to be asked for at once, one of them dead: seconds until all of the others are
 *                       decided                                                                           at most 60
 *                       of all calls, those to the dead one                                               at most 0.05
 *                       rows of the table of bodies that were updated meanwhile, and bytes it has grown   0
 *     half-due-scan     the scan for due checks beside a million decided half messages: median time beside that where there are none   at most 1.5,
 *                       with the statistics that a server makes by itself
 *
 * In the first four, messages of 500 bytes go out an hour later, so that both sides write the same: no delivery is under way while they are measured. The service
 * is a process of its own, and its database acknowledges what it has on disk.
 *
 * Options: --database postgres (default), mariadb, mysql, or the URL of a server on which databases may be made; --only speed, undecided or due-scan;
 * --json, --smoke (20 producers with 50 each, 20 000 decided).
 */
import { halfMessageMigrations } from "@waybill/half-message";
import { migrateUp, namespace, openDatabase } from "@waybill/sql";
import { type BenchmarkResult, benchmarkJson, provideServer, testDatabase } from "@waybill/testing";
import { measureDueScan } from "./due-scan.ts";
import type { OwnDatabase } from "./place.ts";
import { measureSpeed } from "./speed.ts";
import { measureUndecided } from "./undecided.ts";

const measures = { speed: measureSpeed, undecided: measureUndecided, "due-scan": measureDueScan } as const;

function optionOf(name: string): string | null {
  return process.argv.includes(name) ? (process.argv[process.argv.indexOf(name) + 1] ?? "") : null;
}

async function serverFor(name: string): Promise<{ readonly place: string; readonly url: string; stop(): Promise<void> }> {
  if (name.includes("://")) return { place: new URL(name).protocol.slice(0, -1), url: name, stop: async () => undefined };
  if (name !== "postgres" && name !== "mariadb" && name !== "mysql")
    throw new Error("--database is postgres, mariadb, mysql, or the URL of a server on which databases may be made.");
  const server = await provideServer({ kind: name });
  if (server.kind === "skipped") throw new Error(`No ${name} to measure on: ${server.reason}. ${server.advice}`);
  console.error(`${name} ${server.version}, ${server.from}`);
  return { place: name, url: server.url, stop: server.stop };
}

async function ownDatabase(url: string): Promise<OwnDatabase> {
  const own = await testDatabase({ url });
  const database = openDatabase({ url: own.url });
  await migrateUp(database, namespace(database.dialect), [halfMessageMigrations]);
  await database.close();
  return { url: own.url, dialect: database.dialect, drop: own.drop };
}

const isSmoke = process.argv.includes("--smoke");
const only = optionOf("--only");
if (only !== null && !Object.hasOwn(measures, only)) throw new Error(`--only is one of ${Object.keys(measures).join(", ")}.`);
const { place, url, stop } = await serverFor(optionOf("--database") ?? "postgres");
try {
  const results: BenchmarkResult[] = [];
  for (const [name, measure] of Object.entries(measures)) {
    if (only !== null && only !== name) continue;
    const openOwn = (): Promise<OwnDatabase> => ownDatabase(url);
    const rounds = isSmoke ? 1 : 3;
    results.push(...(await measure({ name: place, isSmoke, rounds, say: (text) => console.error(text), openDatabase: openOwn })));
  }
  if (process.argv.includes("--json")) console.log(benchmarkJson("half-message", results));
  else console.table(results);
  if (!isSmoke && results.some(({ met }) => !met)) process.exitCode = 1;
} finally {
  await stop();
}
