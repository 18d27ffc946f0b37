/** What a run of the test that must notice a bug says about it. Pure. */
import type { CatchingTest } from "./planted-bug.ts";
import { isOf, type TestRun } from "./run-tests.ts";

/**
 * `caught`: the named test failed, and said what it was to say. `missed`: it passed, or failed for another reason. `notRun`: it did not run, or
 * its file could not be loaded, which says nothing about the bug.
 */
export interface BugVerdict {
  readonly kind: "caught" | "missed" | "notRun";
  /** What gave it away, or what happened instead: a line or two. */
  readonly because: string;
}

export function verdictOf(test: CatchingTest, { results, problems }: TestRun): BugVerdict {
  const own = results.filter((result) => isOf(result, test));
  const failed = own.filter(({ hasPassed }) => !hasPassed);
  const [right] = failed.filter(({ said }) => said.includes(test.says));
  if (right !== undefined) return { kind: "caught", because: firstLine(right.said) };
  if (problems.length > 0 || own.length === 0) return { kind: "notRun", because: problems.join("; ") };
  const [other] = failed;
  if (other === undefined) return { kind: "missed", because: "the test passed" };
  return { kind: "missed", because: `the test failed for another reason: ${firstLine(other.said)}` };
}

/** Why a test cannot be trusted to catch anything: it does not pass on what is not broken. null: it can. */
export function baselineProblem(test: CatchingTest, { results, problems }: TestRun): string | null {
  const own = results.filter((result) => isOf(result, test));
  const [failed] = own.filter(({ hasPassed }) => !hasPassed);
  if (failed !== undefined) return `it fails without the bug, too: ${firstLine(failed.said)}`;
  return own.length > 0 ? null : problems.join("; ");
}

function firstLine(text: string): string {
  return (text.split("\n")[0] ?? "").slice(0, 300);
}
