import { describe, expect, it } from "vitest";
import { combineVerdicts, noCounts, type Verdict, type VerdictKind, type Witness } from "./verdict.ts";

const witness = (messageId: string): Witness => ({ code: "NL", what: "lost", messageId, trace: [] });
const verdict = (kind: VerdictKind, more: Partial<Verdict> = {}): Verdict => ({
  verdict: kind,
  counts: noCounts,
  witnesses: [],
  reasons: [],
  ...more,
});

describe("verdicts of several ledgers", () => {
  it("are as bad as the worst of them, and none is inconclusive", () => {
    expect(combineVerdicts([verdict("passed"), verdict("passed")]).verdict).toBe("passed");
    expect(combineVerdicts([verdict("passed"), verdict("inconclusive")]).verdict).toBe("inconclusive");
    expect(combineVerdicts([verdict("inconclusive"), verdict("failed"), verdict("passed")]).verdict).toBe("failed");
    expect(combineVerdicts([]).verdict).toBe("inconclusive");
  });

  it("add up their figures and keep witnesses and reasons of each", () => {
    const many = Array.from({ length: 20 }, (_, at) => witness(`first ${at}`));
    const combined = combineVerdicts([
      verdict("failed", { counts: { ...noCounts, lost: 20, committed: 30 }, witnesses: many, reasons: ["a"] }),
      verdict("failed", { counts: { ...noCounts, lost: 1, effects: 2 }, witnesses: [witness("second")], reasons: ["b"] }),
    ]);
    expect(combined.counts).toEqual({ ...noCounts, lost: 21, committed: 30, effects: 2 });
    expect(combined.witnesses).toHaveLength(20);
    expect(combined.witnesses.map((each) => each.messageId)).toContain("second");
    expect(combined.reasons).toEqual(["a", "b"]);
  });
});
