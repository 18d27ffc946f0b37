/** Runs tests by their names in a copy of the repository, in a process of their own, and says what became of each. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CatchingTest } from "./planted-bug.ts";

export interface TestResult {
  /** From the root of the copy. */
  readonly file: string;
  readonly fullName: string;
  readonly hasPassed: boolean;
  /** What it said when it failed; empty if it has passed. */
  readonly said: string;
}

export interface TestRun {
  /** Of every test that ran. */
  readonly results: readonly TestResult[];
  /** What could not be run, and why; empty: everything that was asked for ran. */
  readonly problems: readonly string[];
}

/** A run has this long, servers that start included, and for each file more. */
const runDeadlineMs = 240_000;
const fileDeadlineMs = 60_000;
/** From being told to end, in which servers are stopped, until it is killed. */
const endDeadlineMs = 30_000;
/** Of what a process that failed without a report has printed. */
const outputCharsMax = 2_000;

/**
 * Of servers that tests take by turns, the one that is there soonest: MariaDB and not MySQL, the usual RabbitMQ and not the newest. A turn is drawn
 * from a number, and this is one that draws so.
 */
const turn = "1";

/** What of vitest's JSON report is read. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

/** Rejects only if `signal` aborts. */
export async function runTests(folder: string, tests: readonly CatchingTest[], signal: AbortSignal): Promise<TestRun> {
  signal.throwIfAborted();
  const scratch = await mkdtemp(join(tmpdir(), "waybill-planted-report-"));
  const report = join(scratch, "report.json");
  try {
    const output = await runVitest(folder, tests, scratch, report, signal);
    signal.throwIfAborted();
    if (!existsSync(report)) return { results: [], problems: [`the run left no report: ${output.slice(-outputCharsMax)}`] };
    return read(folder, tests, JSON.parse(await readFile(report, "utf8")) as Report);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Resolves with what it printed, however it ended. */
function runVitest(folder: string, tests: readonly CatchingTest[], scratch: string, report: string, signal: AbortSignal): Promise<string> {
  const names = [...new Set(tests.map(({ name }) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")))];
  const args = [
    join(folder, "node_modules/vitest/vitest.mjs"),
    "run",
    "--root",
    folder,
    ...[...new Set(tests.map(({ project }) => project))].flatMap((project) => ["--project", project]),
    "--reporter=json",
    `--outputFile.json=${report}`,
    "--testNamePattern",
    names.join("|"),
    ...new Set(tests.map(({ file }) => file)),
  ];
  const env: NodeJS.ProcessEnv = { ...process.env, WAYBILL_TEST_SERVERS_FILE: join(scratch, "servers.json"), WAYBILL_TEST_TURN: turn };
  delete env.WAYBILL_TEST_ALL;
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const note = (text: string): void => {
      output = `${output}${text}`.slice(-outputCharsMax);
    };
    child.stdout.setEncoding("utf8").on("data", note);
    child.stderr.setEncoding("utf8").on("data", note);
    let killing: NodeJS.Timeout | undefined;
    const end = (): void => {
      child.kill("SIGTERM");
      killing ??= setTimeout(() => child.kill("SIGKILL"), endDeadlineMs);
    };
    const late = setTimeout(end, runDeadlineMs + fileDeadlineMs * new Set(tests.map(({ file }) => file)).size);
    signal.addEventListener("abort", end, { once: true });
    const done = (last: string): void => {
      clearTimeout(late);
      clearTimeout(killing);
      signal.removeEventListener("abort", end);
      note(last);
      resolve(output);
    };
    child.once("error", (error) => done(error.message));
    child.once("close", () => done(""));
  });
}

function read(folder: string, tests: readonly CatchingTest[], { testResults }: Report): TestRun {
  const results: TestResult[] = [];
  const problems: string[] = [];
  for (const { name, status, message, assertionResults } of testResults) {
    const file = name.slice(name.indexOf(folder) + folder.length + 1);
    const ran = assertionResults.filter((test) => test.status === "passed" || test.status === "failed");
    // A file that cannot be loaded, or whose set-up failed, has no failed test.
    if (status === "failed" && !ran.some((test) => test.status === "failed")) problems.push(`${file}: ${message.slice(0, 500)}`);
    for (const { fullName, status: end, failureMessages = [] } of ran) {
      results.push({ file, fullName, hasPassed: end === "passed", said: failureMessages.join("\n") });
    }
  }
  for (const { file, name } of tests) {
    if (!results.some((result) => isOf(result, { file, name }))) problems.push(`${file}: no test ran whose name has "${name}" in it`);
  }
  return { results, problems };
}

/** Whether a result is that of a test, which may have run several times, once for each server for example. */
export function isOf({ file, fullName }: TestResult, test: Pick<CatchingTest, "file" | "name">): boolean {
  return file === test.file && fullName.includes(test.name);
}
