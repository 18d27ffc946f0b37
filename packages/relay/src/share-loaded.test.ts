import { describe, expect, test } from "vitest";
import { rowsMostOf } from "./reading.ts";
import { shareLoaded } from "./share-loaded.ts";

const total = { loadedMax: 10_000, loadedBytesMax: 33_554_432 };
const problemsOf = (...given: Parameters<typeof shareLoaded>): readonly string[] =>
  shareLoaded(...given).problems.map(({ option, problem }) => `${option}: ${problem}`);

describe("what a process may hold", () => {
  test("is what one relay may, split evenly, and the parts never add up to more", () => {
    expect(shareLoaded({}, [{}, {}, {}])).toEqual({
      shares: Array.from({ length: 3 }, () => ({ loadedMax: 3_333, loadedBytesMax: 11_184_810 })),
      problems: [],
    });
  });

  test("a relay that asked for a part gets it, the others share the rest", () => {
    const { shares, problems } = shareLoaded(total, [{ loadedMax: 6_000 }, {}, { loadedBytesMax: 16_777_216 }]);
    expect(problems).toEqual([]);
    expect(shares.map(({ loadedMax }) => loadedMax)).toEqual([6_000, 2_000, 2_000]);
    expect(shares.map(({ loadedBytesMax }) => loadedBytesMax)).toEqual([8_388_608, 8_388_608, 16_777_216]);
  });

  test("a relay alone gets what it asked for, more or less than usual", () => {
    expect(shareLoaded({}, [{ loadedMax: 10, loadedBytesMax: 100_000_000 }])).toEqual({
      shares: [{ loadedMax: 10, loadedBytesMax: 100_000_000 }],
      problems: [],
    });
  });

  test("a sum that leaves a relay less than the least is a problem that says how much it takes", () => {
    expect(
      problemsOf(
        {},
        Array.from({ length: 9 }, () => ({})),
      ),
    ).toEqual(["totalLoadedBytesMax: a whole number, for these 9 relays at least 37748736"]);
    expect(problemsOf({ ...total, loadedMax: 5_000 }, [{ loadedMax: 4_500 }, {}])).toEqual([
      "totalLoadedMax: a whole number, for these 2 relays at least 5500, 4500 of them asked for by single ones",
    ]);
    expect(problemsOf({ ...total, loadedMax: Number.NaN }, [{}])).toHaveLength(1);
    expect(problemsOf(total, [{ loadedBytesMax: 1_000_000 }, {}])).toEqual([
      "relays[0].loadedBytesMax: at least 4194304 beside other relays",
    ]);
    expect(problemsOf(total, [{ loadedMax: 6_000 }, { loadedMax: 6_000 }])).toHaveLength(1);
  });

  test("one read brings no more than in proportion to it", () => {
    expect(rowsMostOf(total)).toBe(5_000);
    expect(rowsMostOf({ loadedMax: 10_000, loadedBytesMax: 4_194_304 })).toBe(640);
    expect(rowsMostOf({ loadedMax: 1_000, loadedBytesMax: 33_554_432 })).toBe(500);
    expect(rowsMostOf({ loadedMax: 1, loadedBytesMax: 1 })).toBe(100);
  });
});
