/** `npm run chaos`, `npm run scenario`, `npm run scenarios`: see `usage`. Everything for people goes to stderr; with --json the last line of stdout is the result. */
import { randomInt } from "node:crypto";
import { UsageError } from "@waybill/testing";
import { drawScenarios } from "./draw.ts";
import { type RigCommand, readOptions, usage } from "./options.ts";
import { exitCodes, type Outcome } from "./outcome.ts";
import { runChaos } from "./run-chaos.ts";
import { pairFor, runScenario, type ScenarioOutcome } from "./run-scenario.ts";
import type { Scenario } from "./scenario.ts";
import { scenarioOf, scenarios } from "./scenario-list.ts";
import { createServerShelf, type ServerShelf } from "./servers.ts";

const beganMs = performance.now();
const say = (line: string): void => {
  process.stderr.write(`${((performance.now() - beganMs) / 1_000).toFixed(1).padStart(7)} s  ${line}\n`);
};

/** Interrupted, it still stops what it started and removes its databases. */
const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => interrupted.abort(new Error(`Interrupted by ${name}.`)));

const anySeed = (): number => randomInt(2 ** 31);

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const shelf = createServerShelf();
  try {
    switch (options.command) {
      case "chaos":
        return await chaos(options, shelf);
      case "scenario":
        return await repeat(options, shelf);
      case "scenarios":
        return await all(options, shelf);
    }
  } finally {
    await shelf.stop();
  }
}

async function chaos(options: RigCommand, shelf: ServerShelf): Promise<number> {
  const { minutes } = options;
  const seed = options.seed ?? anySeed();
  const pair = { database: options.database ?? { server: "postgres" }, broker: options.broker ?? { server: "rabbitmq" } } as const;
  const outcome = await runChaos({ pair, seed, minutes, shelf, say, signal: interrupted.signal });
  for (const reason of outcome.reasons) say(`! ${reason}`);
  say(`seed ${seed}, ${outcome.database} and ${outcome.broker}: ${outcome.verdict}`);
  print(options, outcome);
  return exitCodes[outcome.verdict];
}

async function one(options: RigCommand, shelf: ServerShelf, scenario: Scenario, seed: number): Promise<ScenarioOutcome> {
  const { database, broker, isFull } = options;
  const outcome = await runScenario({ scenario, database, broker, isFull, seed, shelf, say, signal: interrupted.signal });
  for (const reason of outcome.reasons) say(`! ${reason}`);
  say(`${scenario.code}, seed ${seed}, ${outcome.database} and ${outcome.broker}: ${outcome.verdict} after ${outcome.seconds} s`);
  return outcome;
}

/** One scenario, as often as wanted; the result is the worst of them, the last of those. */
async function repeat(options: RigCommand, shelf: ServerShelf): Promise<number> {
  const scenario = scenarioOf(options.code ?? "");
  if (scenario === undefined)
    throw new UsageError(`there is no scenario ${options.code}; there are ${scenarios.map(({ code }) => code).join(", ")}`);
  if (pairFor(scenario, options) === null) {
    throw new UsageError(
      `${scenario.code} runs on ${scenario.databases.join(", ")} with ${scenario.brokers.join(", ")}. ${scenario.why ?? ""}`,
    );
  }
  const first = options.seed ?? anySeed();
  const outcomes: ScenarioOutcome[] = [];
  for (let run = 0; run < options.repeat; run += 1) outcomes.push(await one(options, shelf, scenario, (first + run) % 2 ** 32));
  const worst = outcomes.toSorted((left, right) => exitCodeRank(right) - exitCodeRank(left))[0] as ScenarioOutcome;
  print(options, worst);
  return exitCodes[worst.verdict];
}

const exitCodeRank = ({ verdict }: Pick<Outcome, "verdict">): number => ({ valid: 0, inconclusive: 1, violated: 2 })[verdict];

/** All of them, or those that are drawn, on what was asked for where they can be seen there, and a table at the end. */
async function all(options: RigCommand, shelf: ServerShelf): Promise<number> {
  const fitting = scenarios.filter((scenario) => pairFor(scenario, options) !== null);
  const skipped = scenarios.flatMap((scenario) => (fitting.includes(scenario) ? [] : [scenario.code]));
  const seed = options.seed ?? anySeed();
  const outcomes: ScenarioOutcome[] = [];
  for (const scenario of drawScenarios(fitting, options.draw ?? fitting.length, seed)) {
    outcomes.push(await one(options, shelf, scenario, seed));
  }
  for (const line of tableOf(outcomes)) say(line);
  if (skipped.length > 0) say(`not run, because they cannot be seen on what was asked for: ${skipped.join(", ")}`);
  const rank = Math.max(0, ...outcomes.map(exitCodeRank));
  const verdict = (["valid", "inconclusive", "violated"] as const)[outcomes.length === 0 ? 1 : rank] ?? "inconclusive";
  print(options, {
    verdict,
    scenarios: outcomes.map(({ scenario, verdict: its, seed: from, seconds, reasons }) => ({
      scenario,
      verdict: its,
      seed: from,
      seconds,
      reasons,
    })),
    skipped,
  });
  return exitCodes[verdict];
}

function tableOf(outcomes: readonly ScenarioOutcome[]): readonly string[] {
  const rows = outcomes.map((each) => [
    each.scenario,
    each.verdict,
    `${each.seconds} s`,
    `${each.committed} committed`,
    `${each.faults} faults`,
    `${each.database}, ${each.broker}`,
    `seed ${each.seed}`,
  ]);
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
}

function print({ isJson }: RigCommand, result: object): void {
  process.stdout.write(`${JSON.stringify(result, undefined, isJson ? undefined : 2)}\n`);
}

/** What was stopped may hold a socket a moment longer; nobody waits for it. */
const leaveAfterMs = 5_000;

main()
  .finally(() => setTimeout(() => process.exit(), leaveAfterMs).unref())
  .then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      const isUsage = error instanceof UsageError;
      process.stderr.write(
        `${isUsage ? `${error.message}\n${usage}` : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
      );
      process.exitCode = isUsage ? 2 : 1;
    },
  );
