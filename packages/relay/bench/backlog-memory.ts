/**
 * `npm run bench -- memory [--database D] [--rows N] [--only CASE] [--json] [--smoke]`: the largest resident set of `waybill relay`, a process of its own as an
 * operator starts it, while it works off backlogs that were made to fill its queues:
 *
 *     drain     N rows (ten million) of 500 bytes, 100 000 keys, into a transport that confirms at once
 *     waiting   of the same rows a quarter, into a topic whose every message fails, until nothing more may wait
 *     http      of the same rows a fiftieth, into an HTTP receiver that takes 20 ms for each
 *     inline    messages of 16 384 bytes, the largest that come with their batch, into a slow transport
 *     largest   messages of 1 000 000 bytes, half of them binary, into a slow transport
 *
 * The figure is that peak over 256 MiB, so that 1 and below is good. It is the kernel's own (`VmHWM`), so nothing is missed between two looks;
 * Linux only. D is postgres (default), mariadb, mysql or a URL.
 */
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { listSubscriptions } from "@waybill/relay";
import { namespace, openDatabase } from "@waybill/sql";
import { type BenchmarkResult, benchmarkJson, type Child, limitResult, startChild } from "@waybill/testing";
import { type Backlog, fillBacklog } from "./backlog.ts";
import { type BenchServer, openBenchServer } from "./bench-servers.ts";
import { seconds } from "./writing.ts";

const rssMax = 256 * 1024 * 1024;
const relayProgram = fileURLToPath(new URL("../../../cli/dist/main.js", import.meta.url));
const slowTransport = fileURLToPath(new URL("./slow-transport.js", import.meta.url));

interface Case {
  readonly name: string;
  readonly backlog: Backlog;
  readonly transport: readonly string[];
  /** It is measured until everything was published, or so long. */
  readonly secondsMax: number;
}

const argument = (name: string): string | null => {
  const at = process.argv.indexOf(name);
  return at < 0 ? null : (process.argv[at + 1] ?? "");
};
const isSmoke = process.argv.includes("--smoke");
const wanted = argument("--only");
const rows = Number(argument("--rows") ?? (isSmoke ? 5_000 : 10_000_000));
if (!Number.isInteger(rows) || rows < 1) throw new Error("--rows takes a whole number from 1.");
const say = (text: string): void => console.error(text);

const module = (options: object): readonly string[] => ["--transport", slowTransport, "--transport-options", JSON.stringify(options)];
const part = (of: number, smoke: number): number => (isSmoke ? smoke : of);
const many = { keys: 100_000, payloadBytes: 500, isBinary: false };

function casesOf(receiverUrl: string): readonly Case[] {
  const few = { keys: 100, isBinary: false };
  return [
    { name: "drain", backlog: { ...many, rows }, transport: module({ delayMs: 0 }), secondsMax: 600 },
    {
      name: "waiting",
      backlog: { ...many, rows: Math.ceil(rows / 4) },
      transport: module({ delayMs: 0, fails: true }),
      secondsMax: part(100, 2),
    },
    {
      name: "http",
      backlog: { ...many, rows: Math.ceil(rows / 50) },
      transport: ["--transport", receiverUrl],
      secondsMax: part(60, 2),
    },
    {
      name: "inline",
      backlog: { ...few, rows: part(30_000, 200), payloadBytes: 16_384 },
      transport: module({ delayMs: part(20, 0) }),
      secondsMax: 120,
    },
    {
      name: "largest",
      backlog: { keys: 100, isBinary: true, rows: part(600, 6), payloadBytes: 1_000_000 },
      transport: module({ delayMs: part(100, 0) }),
      secondsMax: 120,
    },
  ].filter(({ name }) => wanted === null || name === wanted);
}

async function measure(server: BenchServer, { name, backlog, transport, secondsMax }: Case): Promise<BenchmarkResult> {
  say(`${name}: writing ${backlog.rows} rows of ${backlog.payloadBytes} bytes`);
  const url = await server.newDatabase(0);
  await fillBacklog(server.dialect, url, backlog);
  const startedMs = performance.now();
  const relay = await startChild(relayProgram, {
    args: ["relay", "--database", url, ...transport, "--admin", "off", "--log-level", "error"],
  });
  const database = openDatabase({ url });
  let told = { published: false, lastId: 0n, ranges: 0 };
  try {
    while (!told.published && performance.now() - startedMs < 1_000 * secondsMax) {
      await seconds(0.2);
      const [cursor] = await listSubscriptions(database, namespace(server.dialect));
      if (cursor === undefined) continue;
      const { lastId, ranges } = cursor;
      told = { published: lastId >= BigInt(backlog.rows) && ranges.length === 0, lastId, ranges: ranges.length };
    }
    const bytes = await largestResidentSet(relay);
    const mib = Math.round(bytes / 1024 / 1024);
    const how = told.published ? "published everything" : `read up to ${told.lastId}, ${told.ranges} ranges not confirmed`;
    say(`  ${mib} MiB at most, ${how} in ${Math.round((performance.now() - startedMs) / 1_000)} s`);
    const result = limitResult(`memory/${server.name}-${name}`, [bytes / rssMax], 1);
    return { ...result, figures: { "largest MiB": mib, rows: backlog.rows } };
  } finally {
    await database.close();
    relay.kill();
    await relay.exited;
  }
}

/** Bytes of the largest resident set that the process has had. */
async function largestResidentSet(child: Child): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, "utf8");
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kib === undefined) throw new Error(`The relay has ended. It wrote:\n${child.output()}`);
  return Number(kib) * 1024;
}

/** A receiver that takes its time, and takes everything. */
async function openReceiver(): Promise<Server> {
  const receiver = createServer((request, response) => {
    request.resume().on("end", () => setTimeout(() => response.end(), 20));
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  return receiver;
}

const receiver = await openReceiver();
const server = await openBenchServer(argument("--database") ?? "postgres");
const results: BenchmarkResult[] = [];
try {
  say(`${server.name} ${server.version}`);
  const receiverUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/{topic}`;
  for (const one of casesOf(receiverUrl)) results.push(await measure(server, one));
} finally {
  await server.stop();
  receiver.closeAllConnections();
  receiver.close();
}
for (const { name, ratio, target, met } of results) say(`${name}: ${ratio}, at most ${target}: ${met ? "met" : "missed"}`);
if (process.argv.includes("--json")) console.log(benchmarkJson("memory", results));
