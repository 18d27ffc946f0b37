import { describe, expect, it } from "vitest";
import type { CatchingTest } from "./planted-bug.ts";
import type { TestResult, TestRun } from "./run-tests.ts";
import { baselineProblem, verdictOf } from "./verdict.ts";

const test: CatchingTest = {
  project: "server",
  file: "packages/relay/test/lease.test.ts",
  name: "publishes nothing",
  says: "expected [ 3 ]",
};

const result = (said: string, of: Partial<TestResult> = {}): TestResult => ({
  file: test.file,
  fullName: "a relay publishes nothing",
  hasPassed: said === "",
  said,
  ...of,
});
const run = (results: readonly TestResult[], problems: readonly string[] = []): TestRun => ({ results, problems });

describe("a bug", () => {
  it("is caught by its test failing on one server at least, with what it was to say", () => {
    const results = [result(""), result("AssertionError: expected [ 3 ] to deeply equal []\n    at lease.test.ts:3")];
    expect(verdictOf(test, run(results))).toEqual({ kind: "caught", because: "AssertionError: expected [ 3 ] to deeply equal []" });
  });

  it("is missed by a test that passes, or fails for another reason", () => {
    expect(verdictOf(test, run([result("")]))).toEqual({ kind: "missed", because: "the test passed" });
    expect(verdictOf(test, run([result("Error: Hook timed out")]))).toMatchObject({ kind: "missed" });
  });

  it("is not judged by another test, another file, or none", () => {
    const others = [result("expected [ 3 ]", { fullName: "a relay waits" }), result("expected [ 3 ]", { file: "packages/sql/a.test.ts" })];
    expect(verdictOf(test, run(others, ["no test ran"]))).toEqual({ kind: "notRun", because: "no test ran" });
  });

  it("is not judged by a file that could not be loaded, whatever other servers said", () => {
    expect(verdictOf(test, run([result("")], ["lease.test.ts: SyntaxError"]))).toEqual({
      kind: "notRun",
      because: "lease.test.ts: SyntaxError",
    });
  });
});

describe("a test", () => {
  it("is trusted if it passes without the bug, wherever it runs", () => {
    expect(baselineProblem(test, run([result(""), result("")]))).toBeNull();
    expect(baselineProblem(test, run([result(""), result("Error: no server")]))).toBe("it fails without the bug, too: Error: no server");
    expect(baselineProblem(test, run([], ["lease.test.ts: SyntaxError"]))).toBe("lease.test.ts: SyntaxError");
  });
});
