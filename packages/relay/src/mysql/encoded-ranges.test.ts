import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeRanges, encodeRanges } from "./encoded-ranges.ts";

const ranges = fc
  .array(fc.tuple(fc.bigInt({ min: 1n, max: 2n ** 40n }), fc.bigInt({ min: 1n, max: 2n ** 40n })), { maxLength: 50 })
  .map((pairs) => {
    let next = 0n;
    return pairs.map(([gap, length]) => {
      const low = next + gap;
      next = low + length;
      return { low, high: next - 1n };
    });
  });

test("what was encoded is decoded, whatever the gaps and lengths", () => {
  fc.assert(
    fc.property(ranges, (given) => {
      expect(decodeRanges(encodeRanges(given))).toEqual(given);
    }),
  );
});

test("the form is the one that the table describes", () => {
  expect(encodeRanges([])).toBe("[]");
  expect(
    encodeRanges([
      { low: 3n, high: 4n },
      { low: 9n, high: 9n },
    ]),
  ).toBe("[3,2,4,1]");
  expect(encodeRanges([{ low: 9_007_199_254_740_993n, high: 9_007_199_254_740_993n }])).toBe("[9007199254740993,1]");
});

test.each(["", "{}", "[1]", "[1,0]", "[1,2,3]", "[-1,2]", "[1.5,2]", "[1, 2]", "null"])(
  "%j is refused and not read as no holes",
  (text) => {
    expect(() => decodeRanges(text)).toThrow();
  },
);
