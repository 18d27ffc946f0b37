/**
 * `npm run bench -- NAME [--json] [--smoke]` for what a relay costs, and what costs a relay, on PostgreSQL:
 *
 *     server-cpu   CPU of the server per message, beside a SKIP LOCKED and DELETE loop
 *     commits      commits per second of 32 writers with a relay attached, and without
 *     open-read    draining beside a read transaction that has been open for 60 s
 *     open-write   messages of other keys, beside a write transaction that stays open for 60 s
 *     depth        draining behind ten million rows of history, beside an empty ledger
 *     idle         a relay without work
 *     fan-out      five subscriptions in one process, together, beside one
 *     latency      from COMMIT to the transport at 50 messages a second, by polling and with hints
 */
import { type BenchmarkResult, benchmarkJson } from "@waybill/testing";
import { type BenchServer, type Measuring, openBenchServer } from "./bench-servers.ts";
import { measureCommits } from "./commits.ts";
import { measureDepth } from "./depth.ts";
import { measureFanOut } from "./fan-out.ts";
import { measureIdle } from "./idle.ts";
import { measureLatency } from "./latency.ts";
import { measureOpenRead, measureOpenWrite } from "./open-transactions.ts";
import { measureServerCpu } from "./server-cpu.ts";

const benches: Readonly<
  Record<string, (server: BenchServer, measuring: Measuring) => Promise<BenchmarkResult | readonly BenchmarkResult[]>>
> = {
  "server-cpu": measureServerCpu,
  commits: measureCommits,
  "open-read": measureOpenRead,
  "open-write": measureOpenWrite,
  depth: measureDepth,
  idle: measureIdle,
  "fan-out": measureFanOut,
  latency: measureLatency,
};

const [, , name = "", ...rest] = process.argv;
const measure = benches[name];
if (measure === undefined) throw new Error(`One of ${Object.keys(benches).join(", ")}.`);
const say = (text: string): void => console.error(text);
const server = await openBenchServer("postgres");
try {
  say(`${server.name} ${server.version}`);
  const results = [await measure(server, { isSmoke: rest.includes("--smoke"), say })].flat();
  for (const { name: what, ratio, min, max, target, met, isLimit } of results)
    say(`${what}: ${ratio} (${min}–${max}), ${isLimit ? "at most" : "target"} ${target}: ${met ? "met" : "missed"}`);
  if (rest.includes("--json")) console.log(benchmarkJson(name, results));
} finally {
  await server.stop();
}
