import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addRange, countIds, hasId, intersectRanges, normaliseRanges, rangesFromIds, subtractRanges, uniteRanges } from "./id-ranges.ts";
import type { IdRange } from "./ledger.ts";

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 40 }).map((list) => list.sort((a, b) => a - b));
const range = (low: number, high: number): IdRange => ({ low: BigInt(low), high: BigInt(high) });
const rangesOf = (list: readonly number[]): IdRange[] => rangesFromIds(list.map(BigInt));
const idsOf = (ranges: readonly IdRange[]): number[] =>
  ranges.flatMap(({ low, high }) => Array.from({ length: Number(high - low) + 1 }, (_, index) => Number(low) + index));

function expectNormal(ranges: readonly IdRange[]): void {
  expect(normaliseRanges(ranges)).toEqual(ranges);
}

describe("id ranges", () => {
  it("neighbouring ids become one range", () => {
    expect(rangesOf([1, 2, 3, 5, 7, 8])).toEqual([range(1, 3), range(5, 5), range(7, 8)]);
  });

  it("behave as sets of ids, whatever the sets", () => {
    fc.assert(
      fc.property(ids, ids, fc.integer({ min: 1, max: 60 }), (a, b, id) => {
        const [rangesA, rangesB] = [rangesOf(a), rangesOf(b)];
        const [setA, setB] = [new Set(a), new Set(b)];
        const results = [uniteRanges(rangesA, rangesB), subtractRanges(rangesA, rangesB), intersectRanges(rangesA, rangesB)];
        results.forEach(expectNormal);
        expect(results.map(idsOf)).toEqual([
          [...new Set([...a, ...b])].sort((x, y) => x - y),
          a.filter((item) => !setB.has(item)),
          a.filter((item) => setB.has(item)),
        ]);
        expect(hasId(rangesA, BigInt(id))).toBe(setA.has(id));
        expect(countIds(rangesA)).toBe(BigInt(a.length));
      }),
    );
  });

  it("a range is merged with everything it overlaps or touches", () => {
    expect(addRange([range(1, 3), range(10, 12), range(20, 20)], range(4, 9))).toEqual([range(1, 12), range(20, 20)]);
    fc.assert(
      fc.property(ids, fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 20 }), (list, low, length) => {
        const added = addRange(rangesOf(list), range(low, low + length));
        expectNormal(added);
        expect(added).toEqual(uniteRanges(rangesOf(list), [range(low, low + length)]));
      }),
    );
  });

  it("ranges from outside are sorted, merged and rid of empty ones", () => {
    expect(normaliseRanges([range(9, 12), range(5, 4), range(1, 3), range(2, 8)])).toEqual([range(1, 12)]);
  });

  it("subtracting from 10 000 ranges is one pass", () => {
    const many = Array.from({ length: 10_000 }, (_, index) => range(index * 10 + 1, index * 10 + 5));
    const odd = many.filter((_, index) => index % 2 === 1);
    expect(subtractRanges(many, odd)).toHaveLength(5_000);
    expect(intersectRanges(many, odd)).toEqual(odd);
  });
});
