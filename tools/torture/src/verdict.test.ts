import { audit, type Fault, type Verdict } from "@waybill/auditor";
import { describe, expect, it } from "vitest";
import { resultOf, type Trial } from "./verdict.ts";

const nothing = audit({ intents: [], ledger: [], subscriptions: [], received: [], deadLetters: [], consumers: [], effects: [] });
const passed: Verdict = {
  ...nothing,
  verdict: "passed",
  reasons: [],
  counts: { ...nothing.counts, committed: 20_000, rolledBack: 3_000, unknown: 90, repeated: 400 },
};
const faults: readonly Fault[] = [
  "killRelay",
  "stopRelay",
  "endRelay",
  "partitionRelay",
  "killWriter",
  "destination",
  "killServer",
].flatMap((kind) => Array.from({ length: 10 }, () => ({ kind, isObserved: true })));
const shapes = new Map(
  ["savepoint", "slowCommit", "killedClient", "unheardCommit", "burnedIds", "hashed", "rollBackMany"].map((name) => [name, 200]),
);
const hard: Trial = {
  seed: 1,
  minutes: 5,
  database: "postgres 18",
  isServerOurs: true,
  audit: passed,
  lease: { takeovers: 40, zombieWrites: [] },
  crashes: [],
  effort: { faults, lateHoles: 2_000, deadIds: 90_000, owed: 0, shapes },
};

describe("a run's result", () => {
  it("is valid when nothing was found and everything happened", () => {
    expect(resultOf(hard)).toMatchObject({
      verdict: "valid",
      lost: 0,
      ghosts: 0,
      outOfOrder: 0,
      repeated: 400,
      takeovers: 40,
      faults: 70,
      reasons: [],
    });
  });

  it("is inconclusive when something was missing, in proportion to its minutes", () => {
    const missing: readonly Partial<Trial>[] = [
      { lease: { takeovers: 9, zombieWrites: [] } },
      { minutes: 60 },
      {
        effort: { ...hard.effort, faults: faults.map((fault) => (fault.kind === "killServer" ? { ...fault, isObserved: false } : fault)) },
      },
      { effort: { ...hard.effort, lateHoles: 0 } },
      { effort: { ...hard.effort, shapes: new Map([...shapes, ["savepoint", 0]]) } },
      { audit: { ...passed, verdict: "inconclusive", reasons: ["too easy"] } },
      { audit: { ...passed, counts: { ...passed.counts, rolledBack: 0 } } },
    ];
    for (const each of missing) {
      const result = resultOf({ ...hard, ...each });
      expect(result).toMatchObject({ verdict: "inconclusive" });
      expect(result.reasons).not.toEqual([]);
    }
  });

  it("asks for no dead server where it was not ours to kill", () => {
    const spared = { ...hard.effort, faults: faults.filter(({ kind }) => kind !== "killServer") };
    expect(resultOf({ ...hard, effort: spared }).verdict).toBe("inconclusive");
    expect(resultOf({ ...hard, effort: spared, isServerOurs: false }).verdict).toBe("valid");
  });

  it("is violated by what the auditor found, by a zombie's write and by a relay that ended by itself, however easy the run was", () => {
    const lost = { code: "NL", what: "committed, never received", messageId: "m", trace: [] } as const;
    const violations: readonly Partial<Trial>[] = [
      { audit: { ...passed, verdict: "failed", witnesses: [lost], counts: { ...passed.counts, lost: 1, half: 1 } } },
      { lease: { takeovers: 0, zombieWrites: [{ epoch: 4, owner: "a", lastId: 7, backend: 71 }] } },
      { crashes: ["relay 1 ended by itself, exit code 1"] },
    ];
    for (const each of violations) expect(resultOf({ ...hard, ...each, minutes: 50 }).verdict).toBe("violated");
    const owing = { ...hard, ...violations[0], effort: { ...hard.effort, owed: 1 } };
    expect(resultOf(owing)).toMatchObject({ verdict: "violated", lost: 1, unfinished: 1 });
    expect(resultOf({ ...hard, ...violations[0] })).toMatchObject({ lost: 2, reasons: ["NL m committed, never received"] });
  });
});
