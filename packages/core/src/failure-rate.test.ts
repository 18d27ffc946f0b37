import { expect, test } from "vitest";
import { failureRate } from "./failure-rate.ts";

test("one in a hundred is usual, more of a thousand is told; what is long ago is forgotten", () => {
  const rate = failureRate();
  expect(rate.note("kafka", 5, 500)).toBe(false);
  expect(rate.note("kafka", 5, 499)).toBe(false);
  expect(rate.note("kafka", 1, 1)).toBe(true);
  expect(rate.note("billing", 0, 1_000)).toBe(false);
  expect(rate.of("kafka")).toEqual({ failed: 11, attempts: 1_000 });
  expect(rate.note("kafka", 0, 5)).toBe(false);
  expect(rate.note("kafka", 0, 995)).toBe(false);
  expect(rate.of("kafka")).toEqual({ failed: 0, attempts: 1_000 });
});

test("eleven failures are told of at once, however few attempts there were", () => {
  const rate = failureRate();
  expect(rate.of("orders")).toEqual({ failed: 0, attempts: 0 });
  expect(rate.note("orders", 10, 10)).toBe(false);
  expect(rate.note("orders", 1, 1)).toBe(true);
});

test("exactly the last thousand count, as a count of all of them says, too", () => {
  const rate = failureRate();
  const all: number[] = [];
  for (let index = 0; index < 5_000; index += 1) {
    const hasFailed = (index * 7_919) % 97 === 0 ? 1 : 0;
    all.push(hasFailed);
    const failed = all.slice(-1_000).reduce((sum, one) => sum + one, 0);
    expect(rate.note("orders", hasFailed, 1)).toBe(failed > 10);
  }
});
