/**
 * `npm test [-- --unit | --server] [--all] [--node24] [path …]`: installs and builds what is missing, then runs the unit tests and the tests on real servers.
 *
 * --unit, --server   only one of the two
 * --all              the long campaigns too (sets WAYBILL_TEST_ALL=1)
 * --node24           only what needs a newer Node: the Kafka package over @platformatic/kafka. Where no such Node can be had it says so and passes
 * path …             only test files whose path contains one of these; any other flag goes to vitest
 *
 * Prints which servers were used and which were skipped and why, and ends with a plain line: `N passed, N failed`.
 * A run of vitest that dies, or a file that cannot be loaded, counts as failed.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newerNode } from "./newer-node.mjs";
import { prepare, root, run } from "./prepare.mjs";

const own = new Set(["--unit", "--server", "--all", "--node24"]);
const given = process.argv.slice(2);
if (given.includes("--node24")) process.exit(await runOnNewerNode(given.filter((argument) => argument !== "--node24")));
const passedOn = given.filter((argument) => !own.has(argument));
const wanted = given.includes("--unit") ? ["unit"] : given.includes("--server") ? ["server"] : ["unit", "server"];

const folder = mkdtempSync(join(tmpdir(), "waybill-test-"));
const serversFile = join(folder, "servers.json");

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
  const code = await run(
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
      ...passedOn,
    ],
    {
      env: {
        ...process.env,
        WAYBILL_TEST_SERVERS_FILE: serversFile,
        ...(given.includes("--all") ? { WAYBILL_TEST_ALL: "1" } : {}),
      },
    },
  );
  const counts = countResults(report);
  // An error outside every test (a crashed process, an unhandled rejection) shows in the exit code only.
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  passed += counts.passed;
  failed += counts.failed;
  skipped += counts.skipped;
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
