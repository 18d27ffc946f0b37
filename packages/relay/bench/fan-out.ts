/**
 * fan-out/…: five subscriptions in one process that drain one ledger, each all of it, beside one that does: messages confirmed per second by all five
 * together, over those of the one. Both by `createRelays` within the same bound on memory, and a transport that confirms at once.
 */
import type { Transport } from "@waybill/core";
import { createRelays, type OneOfRelays } from "@waybill/relay";
import { openDatabase } from "@waybill/sql";
import { type BenchmarkResult, benchmarkResult } from "@waybill/testing";
import type { BenchServer, Measuring } from "./bench-servers.ts";
import { type Cost, costOf, perMessage } from "./measure.ts";

const many = 5;

export async function measureFanOut(server: BenchServer, { isSmoke, say }: Measuring): Promise<BenchmarkResult> {
  const rows = isSmoke ? 2_000 : 100_000;
  const url = await server.newDatabase(rows);
  const costs = { five: [] as Cost[], one: [] as Cost[] };
  for (let round = 0; round < (isSmoke ? 1 : 4); round += 1) {
    const order = round % 2 === 0 ? (["five", "one"] as const) : (["one", "five"] as const);
    for (const of of order) costs[of].push(await costOf(server, () => drainAll(url, rows, of === "five" ? many : 1)));
    const rate = (of: keyof typeof costs, readers: number): number => Math.round((readers * rows) / (costs[of].at(-1)?.ms ?? Number.NaN));
    say(`  ${rate("five", many)} k messages/s by five together, ${rate("one", 1)} k by one`);
  }
  // The first round pays for what is compiled and cached.
  const [five, one] = isSmoke ? [costs.five, costs.one] : [costs.five.slice(1), costs.one.slice(1)];
  const ratios = five.map(({ ms }, round) => (many * (one[round]?.ms ?? Number.NaN)) / ms);
  const figures = { ...perMessage("five", five, many * rows), ...perMessage("one", one, rows) };
  return { ...benchmarkResult(`fan-out/${server.name}`, ratios, 2), figures };
}

/** Milliseconds from the first call of any transport to the last confirm of all. */
async function drainAll(url: string, rows: number, readers: number): Promise<number> {
  const stop = new AbortController();
  let [confirmed, startedMs, endedMs] = [0, 0, 0];
  const relays = Array.from({ length: readers }, (_, reader): OneOfRelays => {
    const transport: Transport = {
      publish: (batch) => {
        if (startedMs === 0) startedMs = performance.now();
        confirmed += batch.length;
        if (confirmed >= readers * rows) {
          endedMs = performance.now();
          stop.abort();
        }
        return Promise.resolve(batch.map(() => ({ kind: "confirmed" }) as const));
      },
      close: () => Promise.resolve(),
    };
    return { name: `reader-${reader}`, subscription: `reader_${reader}`, database: openDatabase({ url, connections: 1 }), transport };
  });
  const [first] = relays;
  await first?.database.execute("delete from waybill_subscription", []);
  await createRelays({ relays }).run({ signal: stop.signal });
  await Promise.all(relays.map(({ database }) => database.close()));
  return endedMs - startedMs;
}
