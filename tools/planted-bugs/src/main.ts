/** `npm run planted-bugs`: see `usage`. Everything for people goes to stderr; with --json the last line of stdout is the result. */
import { type Caught, catchBug } from "./catch-bug.ts";
import { medianSeconds } from "./median-seconds.ts";
import { type Options, readOptions, UsageError, usage } from "./options.ts";
import { type PatchedTree, patchedTree } from "./patched-tree.ts";
import type { PlantedBug } from "./planted-bug.ts";
import { plantedBugs } from "./planted-bugs.ts";
import { isOf, runTests, type TestResult } from "./run-tests.ts";
import { baselineProblem } from "./verdict.ts";

const beganMs = performance.now();
const say = (line: string): void => {
  process.stderr.write(`${((performance.now() - beganMs) / 1_000).toFixed(1).padStart(7)} s  ${line}\n`);
};

/** Interrupted, it still stops what it started and removes its copies. */
const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => interrupted.abort(new Error(`Interrupted by ${name}.`)));

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2), plantedBugs);
  switch (options.mode) {
    case "help":
      process.stdout.write(`${usage}\n`);
      return 0;
    case "list":
      list(options);
      return 0;
    case "run":
      return run(options);
  }
}

function list({ bugs, isJson }: Options): void {
  if (isJson) return void process.stdout.write(`${JSON.stringify(bugs)}\n`);
  for (const bug of bugs) process.stdout.write(`${bug.name}: ${bug.defect}\n    ${catcherOf(bug)}\n`);
}

function catcherOf({ test }: PlantedBug): string {
  return test === null ? "a torture run" : `${test.file}: ${test.name}`;
}

async function run(options: Options): Promise<number> {
  if (options.seed !== null) say(`seed ${options.seed}: ${options.bugs.map(({ name }) => name).join(", ")}`);
  const tree = patchedTree();
  try {
    // One that can no longer be planted is to be known before the others have taken their minutes.
    for (const { replacements } of plantedBugs) tree.plant(replacements)();
    return report(options, await catchAll(options.bugs, tree));
  } finally {
    tree.remove();
  }
}

async function catchAll(bugs: readonly PlantedBug[], tree: PatchedTree): Promise<readonly Caught[]> {
  const unfit = await unfitTests(bugs, tree);
  const caught: Caught[] = [];
  for (const bug of bugs) {
    const problem = unfit.get(bug);
    const one: Caught =
      problem === undefined
        ? await catchBug(bug, tree, interrupted.signal)
        : { name: bug.name, by: catcherOf(bug), seconds: 0, kind: "notRun", because: problem };
    say(`${one.name}: ${said[one.kind]} after ${one.seconds} s, ${one.by}`);
    say(`  ${one.because}`);
    caught.push(one);
  }
  return caught;
}

/** Answers the exit code. */
function report({ seed, isJson }: Options, bugs: readonly Caught[]): number {
  const caught = bugs.filter(({ kind }) => kind === "caught").length;
  const median = medianSeconds(bugs.map(({ seconds }) => seconds));
  say(`${caught} of ${bugs.length} caught, median ${median} s`);
  if (isJson) process.stdout.write(`${JSON.stringify({ caught, of: bugs.length, medianSeconds: median, seed, bugs })}\n`);
  if (bugs.some(({ kind }) => kind === "missed")) return 1;
  return caught === bugs.length ? 0 : 3;
}

const said = { caught: "caught", missed: "NOT CAUGHT", notRun: "NOT RUN" } as const;

/** The tests once with nothing planted: one that fails then would be taken for one that notices something. */
async function unfitTests(bugs: readonly PlantedBug[], tree: PatchedTree): Promise<ReadonlyMap<PlantedBug, string>> {
  const tests = bugs.flatMap(({ test }) => (test === null ? [] : [test]));
  const unfit = new Map<PlantedBug, string>();
  if (tests.length === 0) return unfit;
  let run = await runTests(tree.folder, tests, interrupted.signal);
  // A machine that others load may let a deadline of a test pass: what fails twice is no accident.
  const failing = tests.filter((test) => baselineProblem(test, run) !== null);
  if (failing.length > 0) {
    const again = await runTests(tree.folder, failing, interrupted.signal);
    const isAgain = (result: TestResult): boolean => failing.some((test) => isOf(result, test));
    run = { results: [...run.results.filter((result) => !isAgain(result)), ...again.results], problems: again.problems };
  }
  for (const bug of bugs) {
    const problem = bug.test === null ? null : baselineProblem(bug.test, run);
    if (problem !== null) unfit.set(bug, problem);
  }
  say(`without a bug ${run.results.filter(({ hasPassed }) => hasPassed).length} tests pass; ${unfit.size} bugs have none to be trusted`);
  return unfit;
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
