import { describe, expect, it } from "vitest";
import { medianSeconds } from "./median-seconds.ts";
import { readOptions, UsageError } from "./options.ts";
import { plantedBugs } from "./planted-bugs.ts";

const read = (...args: readonly string[]) => readOptions(args, plantedBugs);

describe("the command line", () => {
  it("asks for all, for some by name in the order of the list, or for some drawn by a seed", () => {
    expect(read("--json")).toEqual({ mode: "run", bugs: plantedBugs, seed: null, isJson: true });
    const [first, second] = plantedBugs.map(({ name }) => name) as [string, string];
    expect(read(second, first).bugs.map(({ name }) => name)).toEqual([first, second]);
    expect(read("--draw", "2", "--seed", "7")).toMatchObject({ seed: 7, bugs: { length: 2 } });
    expect(read("--draw", "1").seed).toEqual(expect.any(Number));
    expect(read("--list")).toMatchObject({ mode: "list", bugs: plantedBugs });
    expect(read("--help").mode).toBe("help");
  });

  it("is refused where it makes no sense, with what is wrong", () => {
    expect(() => read("no-such-bug")).toThrow('no bug "no-such-bug"');
    expect(() => read("--seed", "7")).toThrow("--seed is for --draw");
    expect(() => read("--draw", "0")).toThrow("--draw must be from 1");
    expect(() => read("--draw", "1000")).toThrow("--draw must be from 1");
    expect(() => read("--draw", "two")).toThrow("--draw must be a whole number");
    expect(() => read("--draw", "2", "no-mandatory")).toThrow("either --draw or names");
    expect(() => read("--loud")).toThrow(UsageError);
  });
});

describe("the median", () => {
  it("is the middle one, or the mean of the two in the middle", () => {
    expect(medianSeconds([])).toBe(0);
    expect(medianSeconds([9, 1, 4])).toBe(4);
    expect(medianSeconds([1, 2, 4.2, 9])).toBe(3.1);
  });
});
