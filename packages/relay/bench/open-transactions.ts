/**
 * What a transaction that somebody forgot costs, beside the same without it.
 *
 *     open-read    a REPEATABLE READ transaction has been open for 60 s, beside writers, when the relay drains what they and others have written
 *     open-write   a transaction with a message of its own stays open for 60 s: of the messages of other keys that are committed meanwhile, the share
 *                  that is published within the same time
 */
import { type BenchmarkResult, benchmarkResult } from "@waybill/testing";
import pg from "pg";
import { attachRelay } from "./attached-relay.ts";
import type { BenchServer, Measuring } from "./bench-servers.ts";
import { drain } from "./drain.ts";
import { median } from "./measure.ts";
import { openWriting } from "./writing.ts";

export async function measureOpenRead(server: BenchServer, { isSmoke, say }: Measuring): Promise<BenchmarkResult> {
  const openForSeconds = isSmoke ? 1 : 60;
  const url = await server.newDatabase(isSmoke ? 2_000 : 200_000);
  const writing = await openWriting(url, { writers: 4, perSecond: 400 });
  const reader = new pg.Client(url);
  await reader.connect();
  const count = async (): Promise<number> => {
    const { rows } = await reader.query<{ count: string }>("select count(*) from waybill_outbox");
    return Number(rows[0]?.count);
  };
  const rates = { held: [] as number[], clean: [] as number[] };
  for (let round = 0; round < (isSmoke ? 1 : 3); round += 1) {
    const holder = new pg.Client(url);
    await holder.connect();
    await holder.query("begin isolation level repeatable read");
    await holder.query("select count(*) from waybill_outbox");
    await writing.run(openForSeconds);
    const rows = await count();
    // What was written lately is not in anybody's cache yet: the first drain pays for it, and is not counted.
    await drain(url, rows);
    const heldMs = await drain(url, rows);
    await holder.query("commit");
    await holder.end();
    const cleanMs = await drain(url, rows);
    rates.held.push((1_000 * rows) / heldMs);
    rates.clean.push((1_000 * rows) / cleanMs);
    say(`  ${Math.round(rows / heldMs)} k rows/s beside the open transaction, ${Math.round(rows / cleanMs)} k rows/s without`);
  }
  await reader.end();
  await writing.close();
  return resultOf(`open-read/${server.name}`, 0.9, rates, rates);
}

export async function measureOpenWrite(server: BenchServer, { isSmoke, say }: Measuring): Promise<BenchmarkResult> {
  const openForSeconds = isSmoke ? 1 : 60;
  const url = await server.newDatabase(0);
  const writing = await openWriting(url, { writers: 8, perSecond: 200 });
  const relay = await attachRelay(url);
  const holder = new pg.Client(url);
  await holder.connect();
  const perSecond = { held: [] as number[], clean: [] as number[] };
  /** Of what the writers commit, how much is published by the time they stop. */
  const stretch = async (of: keyof typeof perSecond): Promise<number> => {
    const before = (await relay.count()).published;
    const committed = await writing.run(openForSeconds);
    const published = (await relay.count()).published - before;
    perSecond[of].push(published / openForSeconds);
    return published / committed;
  };
  await writing.run(isSmoke ? 0.2 : 2);
  const shares = { held: [] as number[], clean: [] as number[] };
  for (let round = 0; round < (isSmoke ? 1 : 3); round += 1) {
    await holder.query("begin");
    await holder.query("insert into waybill_outbox (type, topic, key, payload) values ('shop.order.placed.v1', 'orders', 'held', '{}')");
    shares.held.push(await stretch("held"));
    await holder.query("rollback");
    shares.clean.push(await stretch("clean"));
    const told = (of: keyof typeof perSecond): string =>
      `${Math.round(perSecond[of].at(-1) ?? 0)}/s, ${(100 * (shares[of].at(-1) ?? 0)).toFixed(1)} %`;
    say(`  published ${told("held")} of what was committed beside the open transaction; ${told("clean")} without`);
  }
  await holder.end();
  await relay.stop();
  await writing.close();
  return resultOf(`open-write/${server.name}`, 0.95, shares, perSecond);
}

interface Pairs {
  readonly held: readonly number[];
  readonly clean: readonly number[];
}

function resultOf(name: string, target: number, { held, clean }: Pairs, perSecond: Pairs): BenchmarkResult {
  const ratios = held.map((one, round) => one / (clean[round] ?? Number.NaN));
  const figures = { "held per s": Math.round(median(perSecond.held)), "clean per s": Math.round(median(perSecond.clean)) };
  return { ...benchmarkResult(name, ratios, target), figures };
}
