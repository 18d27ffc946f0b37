/**
 * rss/1m-waiting: memory of a relay process with a million rows waiting, as the share of 200 MiB that is left free of it: 200 MiB / its largest
 * resident set, so that 1 and above is good.
 */
import { fileURLToPath } from "node:url";
import { type BenchmarkResult, benchmarkResult, startChild } from "@waybill/testing";
import type { BenchServer, Measuring } from "./bench-servers.ts";

const rssMax = 200 * 1024 * 1024;

export async function measureMemory(server: BenchServer, { isSmoke, say }: Measuring): Promise<BenchmarkResult> {
  const rows = isSmoke ? 5_000 : 1_000_000;
  const url = await server.newDatabase(rows);
  say(`memory with ${rows} rows waiting`);
  const rss: number[] = [];
  for (let round = 0; round < (isSmoke ? 1 : 3); round += 1) rss.push(await largestRss(url, rows));
  say(`  largest resident set ${rss.map((bytes) => Math.round(bytes / 1024 / 1024)).join(", ")} MiB`);
  return benchmarkResult(
    "rss/1m-waiting",
    rss.map((bytes) => rssMax / bytes),
    1,
  );
}

/** Bytes of the largest resident set of a relay process that drains everything. */
async function largestRss(url: string, rows: number): Promise<number> {
  const child = await startChild(fileURLToPath(new URL("./drain.child.js", import.meta.url)), { args: [url, String(rows)] });
  const event = await child.waitFor((one) => one["name"] === "drained", { deadlineMs: 300_000 });
  await child.exited;
  return Number(event["rssBytesMax"]);
}
