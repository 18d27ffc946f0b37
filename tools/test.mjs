/**
 * `npm test [-- --unit | --server] [--all] [--node24] [path …]`: installs and builds what is missing, then runs the unit tests and the tests on real servers.
 *
 * --unit, --server   only one of the two
 * --all              the long campaigns too (sets WAYBILL_TEST_ALL=1)
 * --repeat-failed    what failed on servers runs once more by itself, if it is at most three files: see `repeatFailed`
 * --node24           only what needs a newer Node: the Kafka package over @platformatic/kafka. Where no such Node can be had it says so and passes
 * path …             only test files whose path contains one of these; any other flag goes to vitest
 *
 * Prints which servers were used and which were skipped and why, and ends with a plain line: `N passed, N failed`.
 * A run of vitest that dies, or a file that cannot be loaded, counts as failed.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { newerNode } from "./newer-node.mjs";
import { prepare, root, run } from "./prepare.mjs";

const own = new Set(["--unit", "--server", "--all", "--repeat-failed", "--node24"]);
const given = process.argv.slice(2);
if (given.includes("--node24")) process.exit(await runOnNewerNode(given.filter((argument) => argument !== "--node24")));
const passedOn = given.filter((argument) => !own.has(argument));
const wanted = given.includes("--unit") ? ["unit"] : given.includes("--server") ? ["server"] : ["unit", "server"];

const folder = mkdtempSync(join(tmpdir(), "waybill-test-"));
const serversFile = join(folder, "servers.json");

/** How many files may fail at first and pass alone. */
const unsteadyFilesMax = 3;

let passed = 0;
let failed = 0;
let skipped = 0;

/** The same program over again, on another Node and about the other client. Answers its exit code. */
async function runOnNewerNode(others) {
  const { path, why } = newerNode();
  if (path === null) {
    console.log(`\nSKIPPED: nothing was tested over @platformatic/kafka: ${why}.\n`);
    console.log("0 passed, 0 failed");
    return 0;
  }
  const files = others.some((argument) => !argument.startsWith("-")) ? [] : ["packages/kafka/test", "packages/kafka/src/platformatic"];
  const env = { ...process.env, WAYBILL_TEST_KAFKA_CLIENT: "platformatic" };
  return run(path, [new URL(import.meta.url).pathname, ...others, ...files], { env });
}

function finish() {
  rmSync(folder, { recursive: true, force: true });
  if (skipped > 0) console.log(`${skipped} skipped`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

async function runProject(project) {
  const report = join(folder, `${project}.json`);
  // Tests on servers wait most of their time: with one more at a time than cores a run takes a third less.
  const workers = project === "server" ? ["--maxWorkers=3"] : [];
  const code = await runVitest(project, report, serversFile, [...workers, ...passedOn]);
  const counts = countResults(report);
  // An error outside every test (a crashed process, an unhandled rejection) shows in the exit code only.
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  else if (code !== 0 && project === "server" && given.includes("--repeat-failed")) await repeatFailed(report, counts);
  passed += counts.passed;
  failed += counts.failed;
  skipped += counts.skipped;
}

/**
 * On a machine shared with others a deadline of a test may pass because nothing ran for seconds, which says nothing about the code. So the
 * files that failed are run once more, alone. A failure that repeats is one; what passes now is listed as unsteady, with what it said, and is
 * to be looked into: it is never silent. More than three files at once are no accident and are not repeated.
 */
async function repeatFailed(report, counts) {
  const failures = failuresOf(report);
  const files = Object.keys(failures);
  if (files.length > unsteadyFilesMax) return;
  console.log(`\nOnce more, alone: ${files.join(" ")}`);
  const flags = passedOn.filter((argument) => argument.startsWith("-"));
  const selection = ["--maxWorkers=1", ...flags, ...files];
  const code = await runVitest("server", join(folder, "again.json"), join(folder, "servers-again.json"), selection);
  if (code !== 0) return;
  console.log("\nUNSTEADY: failed beside other tests, passed alone");
  for (const [file, said] of Object.entries(failures)) for (const line of said) console.log(`  ${file}: ${line}`);
  counts.passed += counts.failed;
  counts.failed = 0;
}

/** For each file that failed, its failed tests with the first line of what they said. */
function failuresOf(report) {
  const { testResults } = JSON.parse(readFileSync(report, "utf8"));
  const failedFiles = testResults.filter(({ status }) => status === "failed");
  return Object.fromEntries(
    failedFiles.map((file) => [
      relative(root, file.name),
      file.assertionResults
        .filter(({ status }) => status === "failed")
        .map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages[0]?.split("\n")[0] ?? "no reason given"}`),
    ]),
  );
}

function runVitest(project, report, servers, selection) {
  return run(
    process.execPath,
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      "--project",
      project,
      "--passWithNoTests",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${report}`,
      ...selection,
    ],
    {
      env: {
        ...process.env,
        WAYBILL_TEST_SERVERS_FILE: servers,
        ...(given.includes("--all") ? { WAYBILL_TEST_ALL: "1" } : {}),
      },
    },
  );
}

function countResults(report) {
  if (!existsSync(report)) return { passed: 0, failed: 0, skipped: 0 };
  const results = JSON.parse(readFileSync(report, "utf8"));
  const unloadable = results.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  ).length;
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + unloadable,
    skipped: results.numPendingTests + results.numTodoTests,
  };
}

/** The table the servers' launcher left: an array of rows, whatever their columns are. */
function printServers() {
  if (!existsSync(serversFile)) return;
  const rows = JSON.parse(readFileSync(serversFile, "utf8"));
  if (!Array.isArray(rows) || rows.length === 0) return;
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [columns, ...rows.map((row) => columns.map((column) => String(row[column] ?? "–")))];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index].length)));
  console.log("\nServers");
  for (const line of lines)
    console.log(
      `  ${line
        .map((cell, index) => cell.padEnd(widths[index]))
        .join("  ")
        .trimEnd()}`,
    );
  console.log("");
}

process.chdir(root);
await prepare();
for (const project of wanted) await runProject(project);
printServers();
if (passed + failed + skipped === 0) {
  console.log(`No test matched ${passedOn.join(" ") || "anything"}.`);
  failed = 1;
}
finish();
