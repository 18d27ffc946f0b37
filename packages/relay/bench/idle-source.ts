/**
 * `npm run bench -- idle-source [--broker B] [--json] [--smoke]`: a consumer that has nothing to do – an inbox with its upkeep, over a source of http,
 * rabbitmq and kafka, or of one of them – and its process's share of a core. Server and broker are processes of their own.
 */
import { createInbox } from "@waybill/inbox";
import { openDatabase } from "@waybill/sql";
import { type BenchmarkResult, benchmarkJson, limitResult } from "@waybill/testing";
import { type BenchBroker, openBenchBroker } from "./bench-brokers.ts";
import { type BenchServer, openBenchServer } from "./bench-servers.ts";
import { seconds } from "./writing.ts";

const isSmoke = process.argv.includes("--smoke");
const at = process.argv.indexOf("--broker");
const wanted = at < 0 ? ["http", "rabbitmq", "kafka"] : [process.argv[at + 1] ?? ""];
const rounds = isSmoke ? 1 : 3;
const stretch = isSmoke ? 1 : 20;
/** Until what is done once is done: connections, the group, the first look for what is to be removed. */
const settling = isSmoke ? 1 : 10;

async function measureIdleSource(server: BenchServer, broker: BenchBroker): Promise<BenchmarkResult> {
  const database = openDatabase({ url: await server.newDatabase(0), connections: 9 });
  const inbox = createInbox({ consumer: "bench", database });
  const stop = new AbortController();
  const running = inbox.run(broker.source(await broker.newTopic()), { signal: stop.signal });
  const shares: number[] = [];
  try {
    await seconds(settling);
    for (let round = 0; round < rounds; round += 1) {
      const [before, fromMs] = [process.cpuUsage(), performance.now()];
      await seconds(stretch);
      const { user, system } = process.cpuUsage(before);
      shares.push((user + system) / 1_000 / (performance.now() - fromMs));
      console.error(`  ${broker.name}: ${(100 * (shares.at(-1) ?? 0)).toFixed(2)} % of a core`);
    }
  } finally {
    stop.abort();
    await running;
    await inbox.close();
    await database.close();
  }
  return limitResult(`idle-source/${broker.name}`, shares, 0.01);
}

const server = await openBenchServer("postgres");
const results: BenchmarkResult[] = [];
try {
  for (const name of wanted) {
    const broker = await openBenchBroker(name);
    try {
      results.push(await measureIdleSource(server, broker));
    } finally {
      await broker.stop();
    }
  }
} finally {
  await server.stop();
}
for (const { name, ratio, min, max, target, met } of results)
  console.error(`${name}: ${ratio} (${min}–${max}), at most ${target}: ${met ? "met" : "missed"}`);
if (process.argv.includes("--json")) console.log(benchmarkJson("idle-source", results));
