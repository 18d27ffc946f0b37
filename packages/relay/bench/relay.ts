/**
 * `npm run bench -- relay [--database D] [--broker B] [--json] [--smoke]`: what the relay costs above the driver and above the client of a broker.
 *
 *     (nothing)       drain/postgres and rss/1m-waiting: `drain.ts`, `memory.ts`
 *     --database D    drain/D, where D is postgres, mariadb, mysql or a URL
 *     --broker B      into/B beside the raw client with the same window, where B is rabbitmq, kafka or a URL: `into-broker.ts`
 *     both            also end-to-end/D-B, from append to committed effect, and which stage limits it: `end-to-end.ts`. B may be http here.
 *
 * Every figure is a ratio from one run, the median of three interleaved rounds with its range.
 */
import { type BenchmarkResult, benchmarkJson } from "@waybill/testing";
import { openBenchBroker } from "./bench-brokers.ts";
import { openBenchServer } from "./bench-servers.ts";
import { measureDrain } from "./drain.ts";
import { measureEndToEnd } from "./end-to-end.ts";
import { measureIntoBroker } from "./into-broker.ts";
import { measureMemory } from "./memory.ts";

const argument = (name: string): string | null => {
  const at = process.argv.indexOf(name);
  return at < 0 ? null : (process.argv[at + 1] ?? "");
};
const isSmoke = process.argv.includes("--smoke");
const wantedDatabase = argument("--database");
const wantedBroker = argument("--broker");
const say = (text: string): void => console.error(text);

const server = await openBenchServer(wantedDatabase ?? "postgres");
const results: BenchmarkResult[] = [];
try {
  say(`${server.name} ${server.version}`);
  if (wantedDatabase !== null || wantedBroker === null) results.push(await measureDrain(server, { isSmoke, say }));
  if (wantedDatabase === null && wantedBroker === null) results.push(await measureMemory(server, { isSmoke, say }));
  if (wantedBroker !== null) {
    const broker = await openBenchBroker(wantedBroker);
    try {
      say(`${broker.name} ${broker.version}`);
      results.push(...(await measureIntoBroker(server, broker, { isSmoke, say })));
      if (wantedDatabase !== null) results.push(...(await measureEndToEnd(server, broker, { isSmoke, say })));
    } finally {
      await broker.stop();
    }
  }
} finally {
  await server.stop();
}
for (const { name, ratio, min, max, target, met } of results)
  say(`${name}: ${ratio} (${min}–${max}), target ${target}: ${met ? "met" : "missed"}`);
if (process.argv.includes("--json")) console.log(benchmarkJson("relay", results));
