/**
 * latency/…: from the answer to COMMIT to the call of the transport, at 50 messages a second, each in a transaction of its own at a moment that has
 * nothing to do with the poll: with the relay's defaults, and with a hint after each COMMIT. Limits in milliseconds: the median and the 99th percentile
 * by default, the median with hints. Writer and relay share a process here, so that one clock measures; they talk over the server all the same.
 */
import type { OutgoingMessage, Transport } from "@waybill/core";
import { createHint } from "@waybill/outbox";
import { createRelay } from "@waybill/relay";
import { openDatabase } from "@waybill/sql";
import { type BenchmarkResult, benchmarkResult } from "@waybill/testing";
import pg from "pg";
import type { BenchServer, Measuring } from "./bench-servers.ts";
import { seconds } from "./writing.ts";

const perSecond = 50;

interface Delays {
  readonly p50: number;
  readonly p99: number;
}

export async function measureLatency(server: BenchServer, { isSmoke, say }: Measuring): Promise<readonly BenchmarkResult[]> {
  const messages = isSmoke ? 20 : 1_000;
  const byPoll: Delays[] = [];
  const byHint: Delays[] = [];
  for (let round = 0; round < (isSmoke ? 1 : 3); round += 1) {
    byPoll.push(await delaysOf(await server.newDatabase(0), messages, false));
    byHint.push(await delaysOf(await server.newDatabase(0), messages, true));
    const shown = ({ p50, p99 }: Delays): string => `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`;
    say(`  default ${shown(byPoll[round] as Delays)}; hint ${shown(byHint[round] as Delays)}`);
  }
  const limit = (name: string, values: readonly number[], most: number): BenchmarkResult => {
    const result = benchmarkResult(name, values, most);
    return { ...result, met: result.ratio <= most, isLimit: true };
  };
  return [
    limit(
      "latency/default-p50-ms",
      byPoll.map(({ p50 }) => p50),
      1.5,
    ),
    limit(
      "latency/default-p99-ms",
      byPoll.map(({ p99 }) => p99),
      5,
    ),
    limit(
      "latency/hint-p50-ms",
      byHint.map(({ p50 }) => p50),
      0.5,
    ),
  ];
}

async function delaysOf(url: string, messages: number, isHinted: boolean): Promise<Delays> {
  const database = openDatabase({ url });
  const writer = new pg.Client({ connectionString: url });
  await writer.connect();
  const committedAt = new Map<string, number>();
  const publishedAt = new Map<string, number>();
  const transport: Transport = {
    publish: async (batch) => {
      const nowMs = performance.now();
      for (const { key } of batch as readonly OutgoingMessage[]) if (key !== null) publishedAt.set(key, nowMs);
      return batch.map(() => ({ kind: "confirmed" }));
    },
    close: async () => undefined,
  };
  const stop = new AbortController();
  let isListening = !isHinted;
  const running = createRelay({
    database,
    transport,
    hint: isHinted,
    onEvent: ({ name }) => {
      if (name === "relay.hintListening") isListening = true;
    },
  }).run({ signal: stop.signal });
  const hint = createHint({ database });
  // Until it runs, and whatever it compiles is compiled.
  for (let warm = 0; !isListening || publishedAt.size < 20; warm += 1) {
    await writer.query(insert, [`warm ${warm}`]);
    await seconds(0.02);
  }
  publishedAt.clear();
  for (let count = 0; count < messages; count += 1) {
    // 20 ms on average, never in step with the poll.
    await seconds((0.5 + ((count * 0.618_034) % 1)) / perSecond);
    const key = String(count);
    await writer.query("begin");
    await writer.query(insert, [key]);
    await writer.query("commit");
    committedAt.set(key, performance.now());
    if (isHinted) hint.give();
  }
  while (publishedAt.size < messages) await seconds(0.05);
  stop.abort();
  await running;
  await hint.settled();
  await writer.end();
  await database.close();
  const delays = [...committedAt].map(([key, atMs]) => Math.max(0, (publishedAt.get(key) ?? Number.POSITIVE_INFINITY) - atMs));
  delays.sort((one, other) => one - other);
  const at = (share: number): number => delays[Math.floor(share * (delays.length - 1))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}

const insert = "insert into waybill_outbox (type, topic, key, payload) values ('shop.order.placed.v1', 'orders', $1, '{}')";
