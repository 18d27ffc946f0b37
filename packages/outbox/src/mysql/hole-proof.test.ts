import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countIds, rangesFromIds, subtractRanges } from "../id-ranges.ts";
import type { IdRange } from "../ledger.ts";
import {
  dueRuns,
  halvesOf,
  holesMax,
  idsPerTryMax,
  noteAlive,
  noteTaken,
  nothingFenced,
  runIdsMax,
  runsPerTryMax,
  type Try,
  tooLongHoles,
  triesOf,
  watchHoles,
} from "./hole-proof.ts";

const range = (low: number, high: number): IdRange => ({ low: BigInt(low), high: BigInt(high) });
const afterMs = 30_000;

describe("when a hole is due", () => {
  it("it is left to its writer for as long as we were told, from when we first saw it", () => {
    const state = watchHoles(nothingFenced, [range(5, 7)], 1_000);
    expect(dueRuns(state, 30_999, afterMs)).toEqual([]);
    expect(dueRuns(state, 31_000, afterMs)).toEqual([range(5, 7)]);
  });

  it("what is left of a hole is as old as the hole; what is new is new", () => {
    const first = watchHoles(nothingFenced, [range(1, 9)], 0);
    const split = watchHoles(first, [range(1, 3), range(6, 9), range(12, 12)], 20_000);
    expect(dueRuns(split, 30_000, afterMs)).toEqual([range(1, 3), range(6, 9)]);
    expect(dueRuns(split, 50_000, afterMs)).toEqual([range(1, 3), range(6, 9), range(12, 12)]);
  });

  it("a hole that grew begins anew: a part of it may be young", () => {
    const first = watchHoles(nothingFenced, [range(1, 3), range(8, 9)], 0);
    const grown = watchHoles(first, [range(1, 4), range(8, 9)], 10_000);
    expect(dueRuns(grown, 30_000, afterMs)).toEqual([range(8, 9)]);
    expect(dueRuns(grown, 40_000, afterMs)).toEqual([range(1, 4), range(8, 9)]);
  });

  it("one that has gone is forgotten, and is young when it comes back", () => {
    const back = watchHoles(watchHoles(watchHoles(nothingFenced, [range(1, 3)], 0), [], 1_000), [range(1, 3)], 2_000);
    expect(dueRuns(back, 30_000, afterMs)).toEqual([]);
    expect(dueRuns(back, 32_000, afterMs)).toEqual([range(1, 3)]);
  });

  it("with more holes than a read can take they are due after five seconds", () => {
    const many = Array.from({ length: holesMax + 1 }, (_, index) => range(2 * index + 1, 2 * index + 1));
    expect(dueRuns(watchHoles(nothingFenced, many, 0), 4_999, afterMs)).toEqual([]);
    expect(dueRuns(watchHoles(nothingFenced, many, 0), 5_000, afterMs)).toHaveLength(holesMax + 1);
    expect(dueRuns(watchHoles(nothingFenced, many.slice(1), 0), 5_000, afterMs)).toEqual([]);
    expect(dueRuns(watchHoles(nothingFenced, many, 0), 1_000, 1_000)).toHaveLength(holesMax + 1);
  });

  it("a run of a million ids is due, one more and it is kept and told", () => {
    const state = watchHoles(nothingFenced, [range(1, 1_000_000), range(2_000_001, 3_000_001)], 0);
    expect(dueRuns(state, afterMs, afterMs)).toEqual([range(1, 1_000_000)]);
    expect(tooLongHoles(state).map(({ low, high }) => high - low + 1n)).toEqual([runIdsMax + 1n]);
  });

  it("ids that we have taken are not taken again while no read has brought them", () => {
    const taken = noteTaken(watchHoles(nothingFenced, [range(1, 9)], 0), [range(1, 4)]);
    expect(dueRuns(taken, afterMs, afterMs)).toEqual([range(5, 9)]);
    expect(dueRuns(watchHoles(taken, [range(3, 9)], 1), afterMs, afterMs)).toEqual([range(5, 9)]);
    // A hole that comes back is another one: its row was read, and then was not there.
    const back = watchHoles(watchHoles(taken, [range(5, 9)], 1), [range(1, 1), range(5, 9)], 2);
    expect(dueRuns(back, 2 + afterMs, afterMs)).toEqual([range(1, 1), range(5, 9)]);
  });

  it("one that is alive is left alone for a tenth of a second, and longer each time, up to two seconds", () => {
    let state = watchHoles(nothingFenced, [range(1, 1), range(5, 5)], 0);
    let nowMs = afterMs;
    for (const waitMs of [100, 200, 400, 800, 1_600, 2_000, 2_000]) {
      state = noteAlive(state, range(1, 1), nowMs);
      expect(dueRuns(state, nowMs + waitMs - 1, afterMs)).toEqual([range(5, 5)]);
      expect(dueRuns(state, nowMs + waitMs, afterMs)).toEqual([range(1, 1), range(5, 5)]);
      nowMs += waitMs;
    }
  });
});

describe("what is tried at once", () => {
  const ids = fc.uniqueArray(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 900 });
  const runs = ids.map((list) => rangesFromIds(list.toSorted((a, b) => a - b).map(BigInt)));

  it("all of the runs, each once, within the bounds, a run never in two tries", () => {
    fc.assert(
      fc.property(runs, (due) => {
        const tries = triesOf(due);
        expect(tries.flatMap(({ probed }) => probed)).toEqual(due);
        for (const one of tries) {
          expect(one.probed.length).toBeLessThanOrEqual(runsPerTryMax);
          expect(countIds(one.ids) <= idsPerTryMax).toBe(true);
        }
      }),
    );
  });

  it("a long run is probed whole and taken by a piece", () => {
    expect(triesOf([range(1, 5), range(10, 100_000), range(200_000, 200_001)])).toEqual([
      { probed: [range(1, 5)], ids: [range(1, 5)] },
      { probed: [range(10, 100_000)], ids: [range(10, 1_009)] },
      { probed: [range(200_000, 200_001)], ids: [range(200_000, 200_001)] },
    ]);
  });

  it("halving finds every run that is alive, and takes every other, in few tries", () => {
    fc.assert(
      fc.property(runs, fc.array(fc.integer({ min: 1, max: 5_000 }), { maxLength: 5 }), (due, places) => {
        const locked = rangesFromIds([...new Set(places)].toSorted((a, b) => a - b).map(BigInt));
        const isLocked = ({ low, high }: IdRange): boolean => locked.some((lock) => lock.low <= high && lock.high >= low);
        const isAlive = ({ probed }: Try): boolean => probed.some(isLocked);
        const left = [...triesOf(due)];
        const met: IdRange[] = [];
        let taken: readonly IdRange[] = [];
        let count = 0;
        for (let next = left.shift(); next !== undefined; next = left.shift()) {
          count += 1;
          if (!isAlive(next)) {
            taken = [...taken, ...next.ids];
            continue;
          }
          const halves = halvesOf(next);
          if (halves !== null) left.unshift(...halves);
          else met.push(...next.probed);
        }
        expect(subtractRanges(due, taken)).toEqual(met);
        for (const run of met) expect(isLocked(run)).toBe(true);
        expect(count).toBeLessThanOrEqual(triesOf(due).length + 2 * places.length * Math.ceil(Math.log2(runsPerTryMax) + 1));
      }),
    );
  });
});
