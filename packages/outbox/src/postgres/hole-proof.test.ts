import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hasId, normaliseRanges, rangesFromIds, subtractRanges } from "../id-ranges.ts";
import type { IdRange } from "../ledger.ts";
import { applyLook, generationsMax, type HoleProofState, type Look, nothingProved, provedRanges, sealHoles } from "./hole-proof.ts";

const range = (low: number, high: number): IdRange => ({ low: BigInt(low), high: BigInt(high) });
const look = (highestId: number, live: readonly string[] = [], prepared: readonly string[] = []): Look => ({
  highestId: BigInt(highestId),
  live: new Set(live),
  prepared: new Set(prepared),
});

/** One tick for holes that stay as they are. */
function tick(state: HoleProofState, holes: readonly IdRange[], seen: Look): HoleProofState {
  return applyLook(sealHoles(state, holes), seen);
}

function ticks(holes: readonly IdRange[], looks: readonly Look[]): HoleProofState {
  return looks.reduce((state, seen) => tick(state, holes, seen), nothingProved);
}

describe("hole proof", () => {
  it("a rolled-back id is proved dead with the third look", () => {
    const holes = [range(5, 7)];
    expect(provedRanges(ticks(holes, [look(9), look(9)]))).toEqual([]);
    expect(provedRanges(ticks(holes, [look(9), look(9), look(9)]))).toEqual(holes);
  });

  it("an id is kept as long as a writer of the first look is there, and newer writers do not matter", () => {
    const holes = [range(5, 5)];
    expect(provedRanges(ticks(holes, [look(9), look(9, ["3/1"]), look(9, ["3/1"]), look(9, ["3/1", "4/7"])]))).toEqual([]);
    expect(provedRanges(ticks(holes, [look(9), look(9, ["3/1"]), look(9, ["4/7"])]))).toEqual(holes);
  });

  it("a writer that became prepared is waited for under its new name", () => {
    const holes = [range(5, 5)];
    const gone = [look(9), look(9, ["3/1"]), look(9, [], ["-1/800"])];
    expect(provedRanges(ticks(holes, gone))).toEqual([]);
    expect(provedRanges(ticks(holes, [...gone, look(9, [], ["-1/800", "-1/801"])]))).toEqual([]);
    expect(provedRanges(ticks(holes, [...gone, look(9, [], ["-1/801"])]))).toEqual(holes);
  });

  it("an id that was handed out after the look before is not sealed yet", () => {
    const holes = [range(5, 20)];
    const proved = ticks(holes, [look(9), look(30, ["3/1"]), look(30)]);
    expect(provedRanges(proved)).toEqual([range(5, 9)]);
  });

  it("an id written by hand above the counter stays unproven until the counter passes it", () => {
    const holes = [range(100, 100)];
    const before = ticks(
      holes,
      Array.from({ length: 10 }, () => look(50)),
    );
    expect(provedRanges(before)).toEqual([]);
    expect(provedRanges([look(100), look(100), look(100)].reduce((state, seen) => tick(state, holes, seen), before))).toEqual(holes);
  });

  it("a proved range is answered as long as it is still a hole, and only what is left of it", () => {
    const proved = ticks([range(1, 9)], [look(9), look(9), look(9)]);
    const less = tick(proved, [range(1, 3), range(6, 9)], look(9));
    expect(provedRanges(less)).toEqual([range(1, 3), range(6, 9)]);
    expect(provedRanges(tick(less, [], look(9)))).toEqual([]);
  });

  it("a generation that waits does not stop a later one", () => {
    const waiting = ticks([range(1, 2)], [look(2), look(2, ["3/1"])]);
    const holes = [range(1, 2), range(4, 4)];
    const later = [look(9, ["3/1"]), look(9, ["3/1", "4/1"]), look(9, ["3/1"])].reduce((state, seen) => tick(state, holes, seen), waiting);
    expect(provedRanges(later)).toEqual([]); // 4 was sealed while 3/1 held its lock, too
    expect(provedRanges(tick(later, holes, look(9)))).toEqual(holes);
  });

  it("never runs more than its bound of generations, and goes on when some end", () => {
    let state = tick(nothingProved, [], look(10_000));
    const holes: IdRange[] = [];
    for (let index = 0; index < generationsMax + 20; index += 1) {
      holes.push(range(index * 10 + 1, index * 10 + 1));
      state = tick(state, holes, look(10_000, ["3/1"]));
    }
    expect(state.phases.size).toBe(generationsMax);
    state = tick(tick(tick(state, holes, look(10_000)), holes, look(10_000)), holes, look(10_000));
    expect(provedRanges(state)).toEqual(holes);
  });
});

/** The three steps that are put to the test, so that mistakes can be planted in them. */
interface Machine {
  readonly seal: typeof sealHoles;
  readonly apply: typeof applyLook;
  readonly proved: typeof provedRanges;
}

const machine: Machine = { seal: sealHoles, apply: applyLook, proved: provedRanges };

/**
 * A ledger and its writers, as far as PostgreSQL's rules concern the proof: the lock is taken before the id is handed out; a commit
 * becomes visible before its lock goes; PREPARE changes the name under which the lock is held.
 */
class SimulatedLedger {
  highestId = 0n;
  readonly visible = new Set<bigint>();
  readonly #writers: { name: string; xid: string; kind: "live" | "prepared" | "committed"; ids: bigint[] }[] = [];
  #nextName = 1;

  /** One step of one transaction, chosen by two numbers. */
  step(choice: number, which: number): void {
    const writer = this.#writers[which % Math.max(1, this.#writers.length)];
    if (choice === 0 || writer === undefined) this.#begin();
    else if (writer.kind === "live" && choice === 1) writer.ids.push((this.highestId += 1n));
    else if (writer.kind === "live" && choice === 2) writer.kind = "prepared";
    else if (writer.kind === "committed" || choice === 4) this.#writers.splice(this.#writers.indexOf(writer), 1);
    else if (choice === 3) this.#commit(writer);
  }

  finishAll(): void {
    for (const writer of this.#writers.splice(0)) this.#commit(writer);
  }

  look(): Look {
    const named = (kinds: readonly string[], name: "name" | "xid"): Set<string> =>
      new Set(this.#writers.filter((writer) => kinds.includes(writer.kind)).map((writer) => writer[name]));
    return { highestId: this.highestId, live: named(["live", "committed"], "name"), prepared: named(["prepared"], "xid") };
  }

  /** True if the id may still become visible. */
  isUndecided(id: bigint): boolean {
    return this.#writers.some((writer) => writer.kind !== "committed" && writer.ids.includes(id));
  }

  #begin(): void {
    this.#writers.push({ name: `3/${this.#nextName}`, xid: `-1/${this.#nextName}`, kind: "live", ids: [] });
    this.#nextName += 1;
  }

  #commit(writer: { kind: "live" | "prepared" | "committed"; ids: bigint[] }): void {
    for (const id of writer.ids) this.visible.add(id);
    writer.kind = "committed";
  }
}

type Step = readonly [kind: "writer" | "read" | "look", choice: number, which: number, lag: number];

const schedules = fc.array(
  fc.tuple(
    fc.constantFrom<"writer" | "read" | "look">("writer", "writer", "writer", "writer", "read", "look", "look"),
    fc.integer({ min: 0, max: 4 }),
    fc.nat(6),
    fc.nat(3),
  ),
  { minLength: 20, maxLength: 150 },
);

/** A reader beside the writers. Answers an id that was proved dead while its owner was undecided, or null; then what stayed unproven. */
function simulate(
  { seal, apply, proved }: Machine,
  steps: readonly Step[],
): { readonly wronged: bigint | null; readonly left: readonly IdRange[] } {
  const ledger = new SimulatedLedger();
  let state = nothingProved;
  let lastId = 0n;
  const seen = new Set<bigint>();
  let dead: readonly IdRange[] = [];

  const holes = (): IdRange[] => {
    const ids: bigint[] = [];
    for (let id = 1n; id <= lastId; id += 1n) if (!seen.has(id)) ids.push(id);
    return subtractRanges(rangesFromIds(ids), dead);
  };
  const read = (): void => {
    for (const id of ledger.visible) {
      seen.add(id);
      if (id > lastId) lastId = id;
    }
  };
  const lookOnce = (meanwhile: () => void): bigint | null => {
    const sealed = seal(state, holes());
    meanwhile(); // between sealing and the server's answer writers go on
    state = apply(sealed, ledger.look());
    const ranges = proved(state);
    for (let id = 1n; id <= ledger.highestId; id += 1n) if (hasId(ranges, id) && ledger.isUndecided(id)) return id;
    read();
    dead = normaliseRanges([...dead, ...ranges.filter(({ low }) => !seen.has(low))]);
    return null;
  };

  for (const [kind, choice, which, lag] of steps) {
    if (kind === "writer") ledger.step(choice, which);
    else if (kind === "read") read();
    else {
      const wronged = lookOnce(() => {
        for (let index = 0; index < lag; index += 1) ledger.step((choice + index) % 5, which + index);
      });
      if (wronged !== null) return { wronged, left: [] };
    }
  }
  ledger.finishAll();
  read();
  for (let index = 0; index < 3; index += 1) lookOnce(() => undefined);
  return { wronged: null, left: holes() };
}

describe("hole proof among random transactions", () => {
  it("never calls an id dead whose transaction is still undecided, and ends every hole when all is quiet", () => {
    fc.assert(
      fc.property(schedules, (steps) => {
        const { wronged, left } = simulate(machine, steps);
        expect(wronged).toBeNull();
        expect(left).toEqual([]);
      }),
      { numRuns: 3_000 },
    );
  });

  const mistakes: Record<string, Machine> = {
    "ids sealed before they were known to be handed out": {
      ...machine,
      seal: (state, holes) => sealHoles({ ...state, sealableUpTo: 1_000_000n }, holes),
      // and the writers of the look before
      apply: (state, seen) => applyLook(applyLook(state, { ...seen, live: new Set() }), seen),
    },
    "prepared transactions not looked at": { ...machine, apply: (state, seen) => applyLook(state, { ...seen, prepared: new Set() }) },
    "only those prepared at the first look waited for": {
      ...machine,
      apply: (state, seen) => {
        const next = applyLook(state, seen);
        const phases = new Map(next.phases);
        for (const [generation, phase] of phases) {
          if (phase.kind === "waitingForPrepared" && state.phases.get(generation)?.kind === "waitingForWriters")
            phases.set(generation, { kind: "proved" });
        }
        return { ...next, phases };
      },
    },
    "any hole below the counter called dead": { ...machine, proved: (state) => state.pieces },
  };
  for (const [mistake, planted] of Object.entries(mistakes)) {
    it(`the simulation notices: ${mistake}`, () => {
      expect(() =>
        fc.assert(
          fc.property(schedules, (steps) => simulate(planted, steps).wronged === null),
          { numRuns: 3_000 },
        ),
      ).toThrow();
    });
  }
});
