/** Plants a bug and runs what must notice it: a test, or a torture run. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { type PatchedTree, repository } from "./patched-tree.ts";
import type { PlantedBug } from "./planted-bug.ts";
import { runTests } from "./run-tests.ts";
import { type BugVerdict, verdictOf } from "./verdict.ts";

export interface Caught extends BugVerdict {
  readonly name: string;
  /** Who was to notice it. */
  readonly by: string;
  /** From planting it to the verdict: servers that are started, and what was tried again, included. */
  readonly seconds: number;
}

/** A server that does not start says nothing about a bug: it is tried again. */
const triesMax = 3;

/** `tree`: in which nothing is planted, before and after. Rejects if `signal` aborts, or if the bug can no longer be planted. */
export async function catchBug(bug: PlantedBug, tree: PatchedTree, signal: AbortSignal): Promise<Caught> {
  const beganMs = performance.now();
  let verdict = await tryOnce(bug, tree, signal);
  for (let tries = 1; verdict.kind === "notRun" && tries < triesMax; tries += 1) verdict = await tryOnce(bug, tree, signal);
  const seconds = Math.round((performance.now() - beganMs) / 100) / 10;
  const by = bug.test === null ? "a torture run" : `${bug.test.file}: ${bug.test.name}`;
  return { name: bug.name, by, seconds, ...verdict };
}

async function tryOnce(bug: PlantedBug, tree: PatchedTree, signal: AbortSignal): Promise<BugVerdict> {
  if (bug.test === null) return torture(bug, signal);
  const takeOut = tree.plant(bug.replacements);
  try {
    return verdictOf(bug.test, await runTests(tree.folder, [bug.test], signal));
  } finally {
    takeOut();
  }
}

/** The torture program plants it by itself, from the same list. */
async function torture({ name, torture: [database] }: PlantedBug, signal: AbortSignal): Promise<BugVerdict> {
  if (database === undefined) throw new Error(`Nothing is said to catch ${name}.`);
  const program = join(repository, "tools/torture/dist/main.js");
  const child = spawn(process.execPath, [program, "--broken", name, "--database", database, "--json"], {
    cwd: repository,
    stdio: ["ignore", "pipe", "inherit"],
  });
  // It stops what it started by itself.
  const stop = (): boolean => child.kill("SIGTERM");
  signal.addEventListener("abort", stop, { once: true });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const ended = await new Promise<string | null>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", () => resolve(null));
  });
  signal.removeEventListener("abort", stop);
  signal.throwIfAborted();
  const last = output.trimEnd().split("\n").at(-1) ?? "";
  if (ended !== null || !last.startsWith("{")) return { kind: "notRun", because: ended ?? "the torture program ended without a result" };
  const { builds } = JSON.parse(last) as { builds: readonly { isCaught: boolean; reasons: readonly string[]; runs: number }[] };
  const [build] = builds;
  if (build?.isCaught === true) return { kind: "caught", because: build.reasons.join("; ") };
  return { kind: "missed", because: `no run of ${build?.runs ?? 0} found anything` };
}
