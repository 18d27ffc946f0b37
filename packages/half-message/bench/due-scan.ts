/**
 * What the scan for due checks costs beside a million half messages that are decided, and beside none. A service runs over each of two databases, and nothing is due
 * in either; timed is the statement by which it looks, as often as it may.
 */
import { secret, systemClock } from "@waybill/core";
import { createHalfMessageService } from "@waybill/half-message";
import { type Database, openDatabase } from "@waybill/sql";
import { type BenchmarkResult, limitResult, timed } from "@waybill/testing";
import { fill } from "./fill.ts";
import type { Place } from "./place.ts";

const producers = 100;
/** Of each producer. */
const undecided = 10;
const pollMs = 50;

/** The only statement by which a service without callers asks for due checks; deliveries have tables of their own. */
function isDueScan(sql: string): boolean {
  return /check_at/.test(sql) && /^\s*(with|select)/.test(sql) && !/delivery/.test(sql);
}

/** Median milliseconds of so many scans. */
async function medianScan(url: string, scans: number): Promise<number> {
  const database = openDatabase({ url, connections: 4 });
  const spent: number[] = [];
  const stop = new AbortController();
  const timing: Database = {
    ...database,
    async query(sql, values, options) {
      if (!isDueScan(sql)) return database.query(sql, values, options);
      let rows: Awaited<ReturnType<Database["query"]>> = [];
      const ms = await timed(async () => {
        rows = await database.query(sql, values, options);
      });
      if (rows.length !== producers) throw new Error(`The scan found ${rows.length} producers of ${producers}.`);
      spent.push(ms);
      if (spent.length >= scans) stop.abort();
      return rows;
    },
  };
  const deadline = systemClock.setTimer(300_000, () => stop.abort());
  try {
    const named = Array.from({ length: producers }, (_, n) => [`producer-${n}`, { check: { via: "pull" } }] as const);
    const service = await createHalfMessageService({
      database: timing,
      http: { call: () => Promise.resolve({ kind: "notSent", reason: "none" }) },
      listen: "127.0.0.1:0",
      admin: null,
      keys: [{ id: "producer-0", secret: secret("bench-bench-bench-bench-bench-bench-"), producer: "producer-0", scopes: ["read"] }],
      producers: Object.fromEntries(named),
      destinations: {},
      routes: {},
      pollMs,
      durability: "relaxed",
    });
    await service.run({ signal: stop.signal });
  } finally {
    deadline.cancel();
    await database.close();
  }
  if (spent.length < scans) throw new Error(`The service looked ${spent.length} times of ${scans}.`);
  return spent.sort((a, b) => a - b)[Math.floor(spent.length / 2)] ?? 0;
}

export async function measureDueScan({ name, isSmoke, rounds, say, openDatabase: open }: Place): Promise<readonly BenchmarkResult[]> {
  const [decided, scans] = isSmoke ? [200, 20] : [10_000, 100];
  const [full, empty] = [await open(), await open()];
  try {
    for (const [own, each] of [
      [full, decided],
      [empty, 0],
    ] as const) {
      const database = openDatabase({ url: own.url, connections: 1 });
      if (each > 0) await fill(database, { producers, each, state: "decided", hasBodies: false });
      await fill(database, { producers, each: undecided, state: "later", hasBodies: false });
      await database.close();
    }
    const ratios: number[] = [];
    let figures = {};
    for (let round = 0; round <= rounds; round += 1) {
      const emptyMs = await medianScan(empty.url, scans);
      const fullMs = await medianScan(full.url, scans);
      if (round === 0) continue; // it fills the server's cache
      say(`half-due-scan/${name}: ${fullMs.toFixed(2)} ms beside ${producers * decided} decided, ${emptyMs.toFixed(2)} ms beside none`);
      figures = { besideDecidedMs: fullMs, besideNoneMs: emptyMs };
      ratios.push(fullMs / emptyMs);
    }
    return [{ ...limitResult(`half-due-scan/${name}`, ratios, 1.5), figures }];
  } finally {
    await full.drop();
    await empty.drop();
  }
}
