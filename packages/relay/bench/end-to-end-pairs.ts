/**
 * `npm run bench -- end-to-end [--database D] [--broker B] [--json] [--smoke]`: from append to committed effect, for each pair of postgres, mariadb
 * and mysql with http, rabbitmq and kafka; or for those of one database, or one broker, each of which may be a URL. See `end-to-end.ts`.
 */
import { type BenchmarkResult, benchmarkJson } from "@waybill/testing";
import { openBenchBroker } from "./bench-brokers.ts";
import { openBenchServer } from "./bench-servers.ts";
import { measureEndToEnd } from "./end-to-end.ts";

const argument = (name: string): string | null => {
  const at = process.argv.indexOf(name);
  return at < 0 ? null : (process.argv[at + 1] ?? "");
};
const isSmoke = process.argv.includes("--smoke");
const database = argument("--database");
const broker = argument("--broker");
const say = (text: string): void => console.error(text);

const results: BenchmarkResult[] = [];
for (const wantedBroker of broker === null ? ["http", "rabbitmq", "kafka"] : [broker]) {
  const between = await openBenchBroker(wantedBroker);
  try {
    for (const wantedDatabase of database === null ? ["postgres", "mariadb", "mysql"] : [database]) {
      const server = await openBenchServer(wantedDatabase);
      try {
        say(`${server.name} ${server.version}, ${between.name} ${between.version}`);
        results.push(...(await measureEndToEnd(server, between, { isSmoke, say })));
      } finally {
        await server.stop();
      }
    }
  } finally {
    await between.stop();
  }
}
for (const { name, ratio, min, max, target, met, note } of results)
  say(`${name}: ${ratio} (${min}–${max}), target ${target}: ${met ? "met" : "missed"}${note === undefined ? "" : `, ${note}`}`);
if (process.argv.includes("--json")) console.log(benchmarkJson("end-to-end", results));
