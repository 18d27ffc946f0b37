/**
 * `npm run lint`: the linter over everything, then three rules it has no words for, then a proof that it still sees what it must see.
 *
 * The proof lints tools/lint-fixture, which drops a promise that comes from another package, and fails if nobody complains: a linter
 * that silently lost its type information would report nothing at all.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { root } from "./prepare.mjs";

const oxlint = (...args) => spawnSync(process.execPath, ["node_modules/oxlint/bin/oxlint", ...args], { cwd: root, encoding: "utf8" });
let problems = 0;

function complain(text) {
  problems += 1;
  console.error(text);
}

const lint = oxlint("--deny-warnings", ...process.argv.slice(2));
process.stdout.write(lint.stdout);
process.stderr.write(lint.stderr);
if (lint.status !== 0) problems += 1;

// Where time, randomness, timers and the process may be touched; the same list as in .oxlintrc.json.
const mayTouchTheClock =
  /^(packages\/core\/src\/(clock|random)\.ts|packages\/(cli|testing|auditor)\/|packages\/[^/]+\/(test|bench)\/|examples\/|tools\/|.*\.test\.ts$|[^/]*\.config\.ts$)/;
const listed = spawnSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.ts"], { cwd: root, encoding: "utf8" });
for (const path of listed.stdout.split("\n").filter((line) => line !== "" && !line.startsWith("tools/lint-fixture/"))) {
  let text;
  try {
    text = readFileSync(`${root}${path}`, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") continue; // deleted, not yet committed
    throw error;
  }
  if (/^(utils?|helpers?|common|shared|types|misc)\.ts$/.test(basename(path))) complain(`${path}: name the file after what it holds`);
  for (const [index, line] of text.split("\n").entries()) {
    if (/^\s*export \* /.test(line)) complain(`${path}:${index + 1}: list exported names one by one, no "export *"`);
    if (/\bnew Date\(\s*\)/.test(line) && !/^\s*(\*|\/\/)/.test(line) && !mayTouchTheClock.test(path)) {
      complain(`${path}:${index + 1}: the time comes from the injected Clock, not from new Date()`);
    }
  }
}

const fixture = oxlint("--type-aware", "-c", "tools/lint-fixture/oxlint.json", "--format", "json", "tools/lint-fixture");
if (!fixture.stdout.includes("no-floating-promises")) {
  complain(`A promise dropped across packages (tools/lint-fixture) was not reported:\n${fixture.stdout}${fixture.stderr}`);
}

process.exitCode = problems === 0 ? 0 : 1;
