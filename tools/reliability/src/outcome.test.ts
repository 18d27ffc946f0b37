import { audit, type Verdict } from "@waybill/auditor";
import { describe, expect, it } from "vitest";
import { type Evidence, outcomeOf } from "./outcome.ts";

const nothing = audit({ intents: [], ledger: [], subscriptions: [], received: [], deadLetters: [], consumers: [], effects: [] });
const passed: Verdict = {
  ...nothing,
  verdict: "passed",
  reasons: [],
  counts: { ...nothing.counts, committed: 500, effects: 500, repeated: 7 },
};
const good: Evidence = {
  seed: 1,
  seconds: 60,
  database: "postgres",
  broker: "kafka",
  verdicts: [passed],
  takeovers: 3,
  zombieWrites: [],
  crashes: [],
  duplicates: 7,
  faults: [
    { kind: "kill relay", isObserved: true },
    { kind: "kill relay", isObserved: false },
  ],
  problems: [],
  missing: [],
};

describe("an outcome", () => {
  it("is valid when nothing was found and nothing is missing", () => {
    expect(outcomeOf(good)).toMatchObject({ verdict: "valid", lost: 0, doubled: 0, effects: 500, repeated: 7, faults: 1, reasons: [] });
  });

  it("is inconclusive when something was not seen, or nothing was judged", () => {
    expect(outcomeOf({ ...good, missing: ["takeovers: 0 of at least 1"] })).toMatchObject({
      verdict: "inconclusive",
      reasons: ["takeovers: 0 of at least 1"],
    });
    expect(outcomeOf({ ...good, verdicts: [] }).verdict).toBe("inconclusive");
    expect(outcomeOf({ ...good, verdicts: [{ ...passed, verdict: "inconclusive", reasons: ["too easy"] }] }).reasons).toEqual(["too easy"]);
  });

  it("is violated by whatever was found, also beside what is missing", () => {
    const doubled = { code: "ND", what: "two effects", messageId: "m", trace: [] } as const;
    const spoiled: readonly Partial<Evidence>[] = [
      { verdicts: [passed, { ...passed, verdict: "failed", witnesses: [doubled], counts: { ...passed.counts, doubled: 1 } }] },
      { zombieWrites: ["by a zombie"] },
      { crashes: ["relay 1 ended by itself"] },
      { problems: ["CO there are 3 cents too many"] },
    ];
    for (const part of spoiled) expect(outcomeOf({ ...good, missing: ["something"], ...part }).verdict).toBe("violated");
    expect(outcomeOf({ ...good, ...spoiled[0] })).toMatchObject({ doubled: 1, ghosts: 0, reasons: ["ND m two effects"] });
  });
});
