/**
 * depth/…: draining the newest 200 000 rows with the cursor behind ten million of history, beside the same in a ledger that has no history. The
 * history's payloads are 50 bytes, so that it fits on a disk; what is drained has 500. The history lies in partitions, as it does where a relay has
 * run while it was written, and the server has written to disk what it was given before anything is measured.
 */
import { keepPartitions } from "@waybill/outbox";
import { createRelay } from "@waybill/relay";
import { namespace, openDatabase } from "@waybill/sql";
import { type BenchmarkResult, benchmarkResult } from "@waybill/testing";
import pg from "pg";
import { type BenchServer, fillPostgres, type Measuring } from "./bench-servers.ts";
import { drain } from "./drain.ts";
import { type Cost, costOf, perMessage } from "./measure.ts";

export async function measureDepth(server: BenchServer, { isSmoke, say }: Measuring): Promise<BenchmarkResult> {
  const history = isSmoke ? 20_000 : 10_000_000;
  const rows = isSmoke ? 2_000 : 200_000;
  const deep = await server.newDatabase(0);
  const empty = await server.newDatabase(0);
  say(`writing ${history} rows of history`);
  const upkeep = openDatabase({ url: deep });
  for (let written = 0; written < history; written += 500_000) {
    await keepPartitions(upkeep, { space: namespace("postgres") });
    await fillPostgres(deep, Math.min(500_000, history - written), 50);
  }
  await keepPartitions(upkeep, { space: namespace("postgres") });
  await upkeep.close();
  await settle(deep, "vacuum analyze waybill_outbox");
  for (const url of [deep, empty]) await moveToEnd(url);
  const costs = { deep: [] as Cost[], empty: [] as Cost[] };
  const once = async (of: keyof typeof costs, url: string): Promise<void> => {
    await fillPostgres(url, rows, 500);
    await settle(url, "checkpoint");
    costs[of].push(await costOf(server, () => drain(url, rows, "cursor")));
  };
  for (let round = 0; round < (isSmoke ? 1 : 4); round += 1) {
    const order = round % 2 === 0 ? (["deep", "empty"] as const) : (["empty", "deep"] as const);
    for (const of of order) await once(of, of === "deep" ? deep : empty);
    const rate = (of: keyof typeof costs): number => Math.round(rows / (costs[of].at(-1)?.ms ?? Number.NaN));
    say(`  ${rate("deep")} k rows/s behind the history, ${rate("empty")} k rows/s without`);
  }
  // The first round pays for what is compiled and cached.
  const [counted, without] = isSmoke ? [costs.deep, costs.empty] : [costs.deep.slice(1), costs.empty.slice(1)];
  const ratios = counted.map(({ ms }, round) => (without[round]?.ms ?? Number.NaN) / ms);
  const figures = { ...perMessage("deep", counted, rows), ...perMessage("empty", without, rows) };
  return { ...benchmarkResult(`depth/${server.name}`, ratios, 0.9), figures };
}

async function settle(url: string, statement: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(statement);
  await client.end();
}

/** A subscription that begins after the last row there is. */
async function moveToEnd(url: string): Promise<void> {
  const database = openDatabase({ url });
  const stop = new AbortController();
  await createRelay({
    database,
    from: "now",
    transport: { publish: () => Promise.resolve([]), close: () => Promise.resolve() },
    onEvent: ({ name }) => {
      if (name === "relay.batchApplied") stop.abort();
    },
  }).run({ signal: stop.signal });
  await database.close();
}
