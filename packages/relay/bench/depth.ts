/**
 * depth/…: draining the newest 100 000 rows with the cursor behind ten million of history, beside the same in a ledger that has no history. The
 * history's payloads are 50 bytes, so that it fits on a disk; what is drained has 500.
 */
import { createRelay } from "@waybill/relay";
import { openDatabase } from "@waybill/sql";
import { type BenchmarkResult, benchmarkResult } from "@waybill/testing";
import pg from "pg";
import { type BenchServer, fillPostgres, type Measuring } from "./bench-servers.ts";
import { drain } from "./drain.ts";
import { median } from "./measure.ts";

export async function measureDepth(server: BenchServer, { isSmoke, say }: Measuring): Promise<BenchmarkResult> {
  const history = isSmoke ? 20_000 : 10_000_000;
  const rows = isSmoke ? 2_000 : 100_000;
  const deep = await server.newDatabase(0);
  const empty = await server.newDatabase(0);
  say(`writing ${history} rows of history`);
  for (let written = 0; written < history; written += 500_000) await fillPostgres(deep, Math.min(500_000, history - written), 50);
  await vacuum(deep);
  for (const url of [deep, empty]) await moveToEnd(url);
  const rates = { deep: [] as number[], empty: [] as number[] };
  const once = async (of: keyof typeof rates, url: string): Promise<void> => {
    await fillPostgres(url, rows, 500);
    rates[of].push((1_000 * rows) / (await drain(url, rows, "cursor")));
  };
  for (let round = 0; round < (isSmoke ? 1 : 4); round += 1) {
    const order = round % 2 === 0 ? (["deep", "empty"] as const) : (["empty", "deep"] as const);
    for (const of of order) await once(of, of === "deep" ? deep : empty);
    say(
      `  ${Math.round((rates.deep.at(-1) ?? 0) / 1_000)} k rows/s behind the history, ${Math.round((rates.empty.at(-1) ?? 0) / 1_000)} k rows/s without`,
    );
  }
  // The first round pays for what is compiled and cached.
  const [counted, without] = isSmoke ? [rates.deep, rates.empty] : [rates.deep.slice(1), rates.empty.slice(1)];
  const ratios = counted.map((rate, round) => rate / (without[round] ?? Number.NaN));
  const figures = { "deep per s": Math.round(median(counted)), "empty per s": Math.round(median(without)) };
  return { ...benchmarkResult(`depth/${server.name}`, ratios, 0.9), figures };
}

async function vacuum(url: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query("vacuum analyze waybill_outbox");
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
