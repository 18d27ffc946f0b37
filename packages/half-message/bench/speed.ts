/** Prepare and commit beside the same rows written by hand: many callers, batches, one caller; and the service when nobody calls. */
import { fileURLToPath } from "node:url";
import { newMessageId, systemClock, wait } from "@waybill/core";
import { type BenchmarkResult, type Child, compare, limitResult, startChild, timed } from "@waybill/testing";
import { type Bare, openBare } from "./bare.ts";
import type { Place } from "./place.ts";
import { openServiceCalls, type ServiceCalls } from "./service-calls.ts";

const callers = 64;
/** Transactions at once: the service's default. */
const connections = 8;
const perBatch = 100;
const producers = 100;
const key = "bench-bench-bench-bench-bench-bench-";
const payload = JSON.stringify({ text: "x".repeat(489) });

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

async function measurePairs({ name, isSmoke, rounds, say }: Place, service: ServiceCalls, bare: Bare): Promise<readonly BenchmarkResult[]> {
  const pairs = isSmoke ? 100 : 3_000;
  const barePairs = (): Promise<number> => repeated(pairs, callers, () => bare.pair(newMessageId(), payload));
  const perSecond = (ms: number): string => ((1_000 * pairs) / ms).toFixed(0);
  const each = async (what: string, target: number, ours: () => Promise<number>): Promise<BenchmarkResult> => {
    let figures = {};
    const onRound = ({ oursMs, bareMs }: { readonly oursMs: number; readonly bareMs: number }): void => {
      figures = { oursPerSecond: Number(perSecond(oursMs)), barePerSecond: Number(perSecond(bareMs)) };
      say(`half-${what}/${name}: ${perSecond(oursMs)} pairs/s, bare ${perSecond(bareMs)}`);
    };
    return { ...(await compare({ name: `half-${what}/${name}`, target, rounds, ours, bare: barePairs, onRound })), figures };
  };
  return [
    await each("pairs", 0.6, () => repeated(pairs, callers, () => service.pair(payload))),
    await each("batch", 3, () => repeated(pairs / perBatch, 4, () => service.batch(payload, perBatch))),
  ];
}

async function medianOf(times: number, work: () => Promise<unknown>): Promise<number> {
  const spent: number[] = [];
  for (let n = 0; n < times; n += 1) spent.push(await timed(work));
  return spent.sort((a, b) => a - b)[Math.floor(times / 2)] ?? 0;
}

async function measureOneCaller({ name, isSmoke, rounds, say }: Place, service: ServiceCalls, bare: Bare): Promise<BenchmarkResult> {
  const times = isSmoke ? 5 : 200;
  const ratios: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const bareMs = await medianOf(times, () => bare.pair(newMessageId(), payload));
    const oursMs = await medianOf(times, () => service.pair(payload));
    if (round === 0) continue; // it pays for what is compiled and filled the first time
    say(`half-one-caller/${name}: ${oursMs.toFixed(1)} ms, bare ${bareMs.toFixed(1)} ms`);
    ratios.push(oursMs / bareMs);
  }
  return limitResult(`half-one-caller/${name}`, ratios, 2.5);
}

async function measureIdle({ name, isSmoke, rounds, say }: Place, child: Child): Promise<BenchmarkResult> {
  const cpuMs = async (): Promise<number> => {
    const from = child.events.length;
    child.tell("cpu");
    return Number((await child.waitFor(({ name: told }) => told === "cpu", { from, deadlineMs: 60_000, what: "its CPU time" }))["cpuMs"]);
  };
  const shares: number[] = [];
  await wait(systemClock, isSmoke ? 200 : 5_000);
  for (let round = 0; round < rounds; round += 1) {
    const [before, fromMs] = [await cpuMs(), systemClock.monotonicMs()];
    await wait(systemClock, isSmoke ? 500 : 10_000);
    shares.push(((await cpuMs()) - before) / (systemClock.monotonicMs() - fromMs));
    say(`half-idle/${name}: ${(100 * (shares.at(-1) ?? 0)).toFixed(2)} % of a core`);
  }
  return limitResult(`half-idle/${name}`, shares, 0.01);
}

export async function measureSpeed(place: Place): Promise<readonly BenchmarkResult[]> {
  const own = await place.openDatabase();
  const program = fileURLToPath(new URL("./service.child.js", import.meta.url));
  const child = await startChild(program, { args: [own.url, key, String(producers)] });
  const listening = await child.waitFor(({ name }) => name === "halfMessage.listening", { deadlineMs: 60_000, what: "it listens" });
  const service = openServiceCalls(Number(listening["port"]), key, callers);
  const [bare, single] = [openBare(own.dialect, own.url, connections), openBare(own.dialect, own.url, 1)];
  try {
    return [...(await measurePairs(place, service, bare)), await measureOneCaller(place, service, single), await measureIdle(place, child)];
  } finally {
    await Promise.all([bare.end(), single.end()]);
    child.tell("stop");
    await child.exited;
    await own.drop();
  }
}
