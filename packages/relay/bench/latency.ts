/**
 * latency/…: from the answer to COMMIT to the call of the transport, at 50 messages a second, each in a transaction of its own at a moment that has
 * nothing to do with the poll: with the relay's defaults, and with a hint after each COMMIT. Limits in milliseconds: the median and the 99th percentile
 * by default, the median with hints. The writer is a process of its own: see `delay-writer.child.ts`.
 */
import { fileURLToPath } from "node:url";
import type { OutgoingMessage, Transport } from "@waybill/core";
import { createRelay } from "@waybill/relay";
import { openDatabase } from "@waybill/sql";
import { type BenchmarkResult, benchmarkResult, startChild } from "@waybill/testing";
import type { BenchServer, Measuring } from "./bench-servers.ts";
import { seconds } from "./writing.ts";

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
  const publishedNs = new Map<string, bigint>();
  const transport: Transport = {
    publish: async (batch) => {
      const nowNs = process.hrtime.bigint();
      for (const { key } of batch as readonly OutgoingMessage[]) if (key !== null) publishedNs.set(key, nowNs);
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
  const writer = await startChild(fileURLToPath(new URL("./delay-writer.child.js", import.meta.url)), {
    args: [url, String(messages), isHinted ? "hinted" : "polled"],
  });
  // Until it runs, and whatever it compiles is compiled.
  while (!isListening || publishedNs.size < 20) await seconds(0.02);
  const warm = publishedNs.size;
  writer.tell("measure");
  const { committedNs } = await writer.waitFor(({ name }) => name === "written", { deadlineMs: 120_000, what: "the messages" });
  while (publishedNs.size < warm + messages) await seconds(0.05);
  stop.abort();
  await running;
  await writer.exited;
  await database.close();
  const delays = Object.entries(committedNs as Readonly<Record<string, string>>).map(([key, atNs]) =>
    Math.max(0, Number((publishedNs.get(key) ?? 0n) - BigInt(atNs)) / 1_000_000),
  );
  delays.sort((one, other) => one - other);
  const at = (share: number): number => delays[Math.floor(share * (delays.length - 1))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}
