/**
 * commits/…: what an attached relay costs those who write: commits per second of 32 writers with it and without it, ten seconds each, in turns.
 * Writers and relay are processes of their own on the same machine as the server.
 */
import { type BenchmarkResult, benchmarkResult } from "@waybill/testing";
import { attachRelay } from "./attached-relay.ts";
import type { BenchServer, Measuring } from "./bench-servers.ts";
import { median } from "./measure.ts";
import { openWriting, seconds } from "./writing.ts";

export async function measureCommits(server: BenchServer, { isSmoke, say }: Measuring): Promise<BenchmarkResult> {
  const stretch = isSmoke ? 0.5 : 10;
  const url = await server.newDatabase(0);
  const writing = await openWriting(url, { writers: 32 });
  const rates = { attached: [] as number[], alone: [] as number[] };
  const alone = async (): Promise<number> => (await writing.run(stretch)) / stretch;
  const attached = async (): Promise<number> => {
    const relay = await attachRelay(url);
    // What was written without it is behind it before it is measured.
    for (let before = -1; ; ) {
      const { published } = await relay.count();
      if (published === before) break;
      before = published;
      await seconds(0.5);
    }
    const rate = (await writing.run(stretch)) / stretch;
    await relay.stop();
    return rate;
  };
  await alone();
  for (let round = 0; round < (isSmoke ? 1 : 3); round += 1) {
    const isAttachedFirst = round % 2 === 0;
    if (isAttachedFirst) rates.attached.push(await attached());
    rates.alone.push(await alone());
    if (!isAttachedFirst) rates.attached.push(await attached());
    say(`  ${Math.round(rates.attached.at(-1) ?? 0)} commits/s with the relay, ${Math.round(rates.alone.at(-1) ?? 0)} without`);
  }
  await writing.close();
  const ratios = rates.attached.map((rate, round) => rate / (rates.alone[round] ?? Number.NaN));
  const figures = { "attached per s": Math.round(median(rates.attached)), "alone per s": Math.round(median(rates.alone)) };
  return { ...benchmarkResult(`commits/${server.name}`, ratios, 0.97), figures };
}
