import { expect, it } from "vitest";
import { pollInterval } from "./poll-interval.ts";

it("a full read is followed by the next at once", () => {
  expect(pollInterval(2, 100).after(500, true, 0)).toBe(0);
});

it("the wait is short while messages come and for a second after, then it doubles up to the longest", () => {
  const interval = pollInterval(2, 100);
  expect(interval.after(1, false, 5_000)).toBe(2);
  expect(interval.after(0, false, 5_500)).toBe(2);
  expect(interval.after(0, false, 6_000)).toBe(2);
  expect([6_001, 6_010, 6_020, 6_040, 6_080, 6_200, 6_300].map((nowMs) => interval.after(0, false, nowMs))).toEqual([
    4, 8, 16, 32, 64, 100, 100,
  ]);
  expect(interval.after(1, false, 7_000)).toBe(2);
});

it("a reader that finds nothing at first waits long at once", () => {
  expect(pollInterval(2, 100).after(0, false, 0)).toBe(100);
});
