/** `npm run torture`: see `usage`. Everything for people goes to stderr; with --json the last line of stdout is the result. */
import { randomInt } from "node:crypto";
import { appendFileSync } from "node:fs";
import { type DatabaseName, databaseNames, type ServerChoice, UsageError } from "@waybill/testing";
import type { BrokenBuild } from "./broken-builds.ts";
import { type Caught, catchBroken } from "./catch-broken.ts";
import { readOptions, type TortureOptions, usage } from "./options.ts";
import { openServer } from "./place.ts";
import { runTorture } from "./run-torture.ts";
import { summaryOf } from "./summary.ts";
import type { TortureResult } from "./verdict.ts";

const nightlyRuns = 10;

const beganMs = performance.now();
const say = (line: string): void => {
  process.stderr.write(`${((performance.now() - beganMs) / 1_000).toFixed(1).padStart(7)} s  ${line}\n`);
};

/** Interrupted, it still stops what it started and removes its databases. */
const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => interrupted.abort(new Error(`Interrupted by ${name}.`)));

const exitCodes = { valid: 0, violated: 1, inconclusive: 3 } as const;
const anySeed = (): number => randomInt(2 ** 31);

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  if (options.mode === "run") {
    const result = await one(options, options.database ?? { server: "postgres" });
    print(options, result);
    return exitCodes[result.verdict];
  }
  if (options.mode === "nightly") {
    const results: TortureResult[] = [];
    for (let run = 0; run < nightlyRuns; run += 1) {
      results.push(await one(options, options.database ?? { server: databaseNames[run % databaseNames.length] as DatabaseName }));
    }
    const summary = summaryOf(results);
    print(options, summary);
    return exitCodes[summary.verdict];
  }
  const caught = await catchAll(options, options.mode.broken);
  print(options, { caught: caught.filter(({ isCaught }) => isCaught).length, of: caught.length, builds: caught });
  return caught.every(({ isCaught }) => isCaught) ? 0 : 1;
}

/** A run on a server of its own, or on the one given. */
async function one(options: TortureOptions, database: ServerChoice<DatabaseName>): Promise<TortureResult> {
  const seed = options.seed ?? anySeed();
  const server = await openServer(database);
  try {
    const result = await runTorture({ server, seed, minutes: options.minutes, say, signal: interrupted.signal });
    for (const reason of result.reasons) say(`! ${reason}`);
    say(`seed ${seed}, ${server.name}: ${result.verdict}`);
    if (options.record !== null) appendFileSync(options.record, `${JSON.stringify(result)}\n`);
    return result;
  } finally {
    await server.stop();
  }
}

async function catchAll(options: TortureOptions, builds: readonly BrokenBuild[]): Promise<readonly Caught[]> {
  const server = await openServer(options.database ?? { server: "postgres" });
  try {
    const caught: Caught[] = [];
    for (const build of builds) {
      const result = await catchBroken({ build, server, seed: options.seed ?? anySeed(), say, signal: interrupted.signal });
      say(
        `${build.name}: ${result.isCaught ? "caught" : "NOT CAUGHT"} after ${result.seconds} s, ${result.runs} runs, seed ${result.seed}`,
      );
      for (const reason of result.reasons) say(`  ${reason}`);
      caught.push(result);
    }
    return caught;
  } finally {
    await server.stop();
  }
}

function print(options: TortureOptions, result: object): void {
  if (options.isJson) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    if (error instanceof UsageError) process.stderr.write(`${usage}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  },
);
