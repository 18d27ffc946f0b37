/**
 * What a half message costs: signed prepare and commit over HTTP on the loopback, beside the same rows written by hand with single-row statements on as
 * many connections. Messages of 500 bytes go out an hour later, so that both sides write the same: no delivery is under way while they are measured.
 *
 *     half-pairs        64 callers, a prepare and a commit each                                           at least 0.6 of the bare pairs per second
 *     half-batch        100 prepares in a call, then 100 commits in a call                                at least 3
 *     half-one-caller   one caller after the other: median time of a pair beside that of the bare pair    at most 2.5
 *     half-idle         the service after all that, 100 producers configured: its share of a core         at most 0.01
 *
 * The service is a process of its own, and its database acknowledges what it has on disk.
 *
 * Options: --database postgres (default), mariadb, mysql, or the URL of a server on which databases may be made; --json, --smoke.
 */
import { Agent, request as httpRequest } from "node:http";
import { fileURLToPath } from "node:url";
import { newMessageId, secret, signRequest, systemClock, wait } from "@waybill/core";
import { halfMessageMigrations } from "@waybill/half-message";
import { type Dialect, migrateUp, namespace, openDatabase } from "@waybill/sql";
import {
  type BenchmarkResult,
  benchmarkJson,
  type Child,
  compare,
  limitResult,
  provideServer,
  startChild,
  testDatabase,
  timed,
} from "@waybill/testing";
import { type Bare, openBare } from "./bare.ts";

const isSmoke = process.argv.includes("--smoke");
const wanted = process.argv.includes("--database") ? (process.argv[process.argv.indexOf("--database") + 1] ?? "") : "postgres";
const rounds = isSmoke ? 1 : 3;
const callers = 64;
/** Transactions at once: the service's default. */
const connections = 8;
const pairs = isSmoke ? 64 : 3_000;
const perBatch = 100;
const key = "bench-bench-bench-bench-bench-bench-";
const payload = JSON.stringify({ text: "x".repeat(489) });
const base = "/v1/producers/payments/half-messages";

const say = (text: string): void => console.error(text);

interface Service {
  call(method: "PUT" | "POST", target: string, body: unknown): Promise<Readonly<Record<string, unknown>>>;
}

function halfMessageOf(id: string): object {
  return { barrier: null, messages: [{ type: "bench.v1", topic: "payments", key: id, payload, delayMs: 3_600_000 }] };
}

/** Calls over kept connections; whatever is not 200 or 201 ends the benchmark. */
function openService(port: number): Service {
  const agent = new Agent({ keepAlive: true, maxSockets: callers });
  let calls = 0;
  return {
    call: (method, target, body) =>
      new Promise((resolve, reject) => {
        const bytes = Buffer.from(JSON.stringify(body));
        const nonce = newMessageId();
        calls += 1;
        const signed = signRequest(
          { id: `payments-${calls % 8}`, secret: secret(key) },
          { method, target, body: bytes },
          { createdMs: systemClock.wallMs(), nonce },
        );
        const headers = { ...signed, "content-type": "application/json", "content-length": String(bytes.length) };
        const sent = httpRequest({ agent, host: "127.0.0.1", port, method, path: target, headers }, (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const text = Buffer.concat(chunks).toString("utf8");
            if (response.statusCode === 200 || response.statusCode === 201) resolve(JSON.parse(text) as Record<string, unknown>);
            else reject(new Error(`${method} ${target} was answered with ${response.statusCode ?? 0}.`));
          });
        });
        sent.on("error", reject);
        sent.end(bytes);
      }),
  };
}

/** Does `work` so often, `atOnce` at a time; answers the milliseconds. */
function repeated(times: number, atOnce: number, work: () => Promise<unknown>): Promise<number> {
  let left = times;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await work();
    }
  };
  return timed(() => Promise.all(Array.from({ length: atOnce }, lane)));
}

async function pair(service: Service): Promise<void> {
  const id = newMessageId();
  await service.call("PUT", `${base}/${id}`, halfMessageOf(id));
  await service.call("POST", `${base}/${id}/commit`, {});
}

async function batch(service: Service): Promise<void> {
  const ids = Array.from({ length: perBatch }, newMessageId);
  for (const operations of [
    ids.map((id) => ({ op: "prepare", id, halfMessage: halfMessageOf(id) })),
    ids.map((id) => ({ op: "commit", id })),
  ]) {
    const { results } = await service.call("POST", `${base}:batch`, { operations });
    const refused = (results as readonly { status: number }[]).find(({ status }) => status !== 200 && status !== 201);
    if (refused !== undefined) throw new Error(`An operation of a batch was answered with ${refused.status}.`);
  }
}

async function measurePairs(place: string, service: Service, bare: Bare): Promise<readonly BenchmarkResult[]> {
  const barePairs = (): Promise<number> => repeated(pairs, callers, () => bare.pair(newMessageId(), payload));
  const perSecond = (ms: number): string => ((1_000 * pairs) / ms).toFixed(0);
  const each = async (name: string, target: number, ours: () => Promise<number>): Promise<BenchmarkResult> => {
    let figures = {};
    const onRound = ({ oursMs, bareMs }: { readonly oursMs: number; readonly bareMs: number }): void => {
      figures = { oursPerSecond: Number(perSecond(oursMs)), barePerSecond: Number(perSecond(bareMs)) };
      say(`half-${name}/${place}: ${perSecond(oursMs)} pairs/s, bare ${perSecond(bareMs)}`);
    };
    return { ...(await compare({ name: `half-${name}/${place}`, target, rounds, ours, bare: barePairs, onRound })), figures };
  };
  return [
    await each("pairs", 0.6, () => repeated(pairs, callers, () => pair(service))),
    await each("batch", 3, () =>
      repeated(Math.ceil(pairs / perBatch), 4, () => batch(service)).then((ms) => (ms * pairs) / (Math.ceil(pairs / perBatch) * perBatch)),
    ),
  ];
}

async function medianOf(times: number, work: () => Promise<unknown>): Promise<number> {
  const spent: number[] = [];
  for (let n = 0; n < times; n += 1) spent.push(await timed(work));
  return spent.sort((a, b) => a - b)[Math.floor(times / 2)] ?? 0;
}

async function measureOneCaller(place: string, service: Service, bare: Bare): Promise<BenchmarkResult> {
  const times = isSmoke ? 5 : 200;
  const ratios: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const bareMs = await medianOf(times, () => bare.pair(newMessageId(), payload));
    const oursMs = await medianOf(times, () => pair(service));
    if (round === 0) continue; // it pays for what is compiled and filled the first time
    say(`half-one-caller/${place}: ${oursMs.toFixed(1)} ms, bare ${bareMs.toFixed(1)} ms`);
    ratios.push(oursMs / bareMs);
  }
  return limitResult(`half-one-caller/${place}`, ratios, 2.5);
}

async function measureIdle(place: string, child: Child): Promise<BenchmarkResult> {
  const cpuMs = async (): Promise<number> => {
    const from = child.events.length;
    child.tell("cpu");
    return Number((await child.waitFor(({ name }) => name === "cpu", { from, deadlineMs: 60_000, what: "its CPU time" }))["cpuMs"]);
  };
  const shares: number[] = [];
  await wait(systemClock, isSmoke ? 200 : 5_000);
  for (let round = 0; round < rounds; round += 1) {
    const [before, fromMs] = [await cpuMs(), systemClock.monotonicMs()];
    await wait(systemClock, isSmoke ? 500 : 10_000);
    shares.push(((await cpuMs()) - before) / (systemClock.monotonicMs() - fromMs));
    say(`half-idle/${place}: ${(100 * (shares.at(-1) ?? 0)).toFixed(2)} % of a core`);
  }
  return limitResult(`half-idle/${place}`, shares, 0.01);
}

async function measureAll(place: string, url: string, dialect: Dialect): Promise<readonly BenchmarkResult[]> {
  const program = fileURLToPath(new URL("./service.child.js", import.meta.url));
  const child = await startChild(program, { args: [url, key, "100"] });
  const listening = await child.waitFor(({ name }) => name === "halfMessage.listening", { deadlineMs: 60_000, what: "it listens" });
  const service = openService(Number(listening["port"]));
  const [bare, single] = [openBare(dialect, url, connections), openBare(dialect, url, 1)];
  try {
    return [...(await measurePairs(place, service, bare)), await measureOneCaller(place, service, single), await measureIdle(place, child)];
  } finally {
    await Promise.all([bare.end(), single.end()]);
    child.tell("stop");
    await child.exited;
  }
}

async function serverFor(name: string): Promise<{ readonly place: string; readonly url: string; stop(): Promise<void> }> {
  if (name.includes("://")) return { place: new URL(name).protocol.slice(0, -1), url: name, stop: async () => undefined };
  if (name !== "postgres" && name !== "mariadb" && name !== "mysql")
    throw new Error("--database is postgres, mariadb, mysql, or the URL of a server on which databases may be made.");
  const server = await provideServer({ kind: name });
  if (server.kind === "skipped") throw new Error(`No ${name} to measure on: ${server.reason}. ${server.advice}`);
  say(`${name} ${server.version}, ${server.from}`);
  return { place: name, url: server.url, stop: server.stop };
}

const { place, url, stop } = await serverFor(wanted);
try {
  const own = await testDatabase({ url });
  try {
    const database = openDatabase({ url: own.url });
    await migrateUp(database, namespace(database.dialect), [halfMessageMigrations]);
    await database.close();
    const results = await measureAll(place, own.url, database.dialect);
    if (process.argv.includes("--json")) console.log(benchmarkJson("half-message", results));
    else console.table(results);
    if (!isSmoke && results.some(({ met }) => !met)) process.exitCode = 1;
  } finally {
    await own.drop();
  }
} finally {
  await stop();
}
