/**
 * `npm run bench -- peers [--json] [--smoke]`: the relay drains the ledger, and each peer its own table of as many messages with 500 bytes of payload, in
 * turns on one server, each into a handler that does nothing. The figure is the relay's rate over that of the fastest peer in the same
 * round. What each peer is set to is in `bench/peers/`; the relay keeps the order of each key, which none of the others is asked to.
 */
import { fileURLToPath } from "node:url";
import { type BenchmarkResult, benchmarkJson, benchmarkResult, startChild } from "@waybill/testing";
import { openBenchServer } from "./bench-servers.ts";
import { drain } from "./drain.ts";
import { median } from "./measure.ts";

const isSmoke = process.argv.includes("--smoke");
// Each is given what takes it some seconds.
const messagesOf = { "graphile-worker": 10_000, "pg-boss": 10_000, "pg-transactional-outbox": 500 };
type Peer = keyof typeof messagesOf;
const peers = Object.keys(messagesOf) as Peer[];
const rows = isSmoke ? 2_000 : 200_000;
const say = (text: string): void => console.error(text);

const server = await openBenchServer("postgres");
try {
  say(`${server.name} ${server.version}`);
  const url = await server.newDatabase(rows);
  const rates = new Map<string, number[]>(["waybill", ...peers].map((name) => [name, []]));
  await drain(url, rows);
  for (let round = 0; round < (isSmoke ? 1 : 3); round += 1) {
    rates.get("waybill")?.push((1_000 * rows) / (await drain(url, rows)));
    for (const peer of peers) {
      const messages = isSmoke ? 200 : messagesOf[peer];
      rates.get(peer)?.push((1_000 * messages) / (await drainPeer(peer, messages, await server.newDatabase(0))));
    }
    say(`  ${[...rates].map(([name, of]) => `${name} ${Math.round(of.at(-1) ?? 0)}/s`).join(", ")}`);
  }
  const ours = rates.get("waybill") ?? [];
  const ratios = ours.map((rate, round) => rate / Math.max(...peers.map((peer) => rates.get(peer)?.[round] ?? 0)));
  const figures = Object.fromEntries([...rates].map(([name, of]) => [`${name} per s`, Math.round(median(of))]));
  const result: BenchmarkResult = { ...benchmarkResult("peers/best", ratios, 8), figures };
  say(`${result.name}: ${result.ratio} (${result.min}–${result.max}), target ${result.target}: ${result.met ? "met" : "missed"}`);
  if (process.argv.includes("--json")) console.log(benchmarkJson("peers", [result]));
} finally {
  await server.stop();
}

/** Milliseconds from its first message to its last. */
async function drainPeer(peer: Peer, messages: number, url: string): Promise<number> {
  const program = fileURLToPath(new URL(`../../../../bench/peers/${peer}.mjs`, import.meta.url));
  const child = await startChild(program, { args: [url, String(messages)] });
  const told = await child.waitFor((event) => typeof event["ms"] === "number", { deadlineMs: 600_000, what: `the end of ${peer}` });
  await child.exited;
  return Number(told["ms"]);
}
