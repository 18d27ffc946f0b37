import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffMs } from "./backoff.ts";

const policies = fc.record({ firstMs: fc.integer({ min: 1, max: 10_000 }), maxMs: fc.integer({ min: 1, max: 3_600_000 }) });
const fractions = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const attempts = fc.integer({ min: 1, max: 100_000 });

test("a wait is at least 1 ms and never above the doubled first wait or the cap", () => {
  fc.assert(
    fc.property(policies, attempts, fractions, (policy, attempt, fraction) => {
      const ms = backoffMs(policy, attempt, { fraction: () => fraction });
      expect(ms).toBeGreaterThanOrEqual(1);
      expect(ms).toBeLessThanOrEqual(policy.maxMs);
      if (attempt < 30) expect(ms).toBeLessThanOrEqual(policy.firstMs * 2 ** (attempt - 1));
      expect(Number.isInteger(ms)).toBe(true);
    }),
  );
});

test("the upper end doubles with each attempt until the cap", () => {
  const almostOne = { fraction: () => 1 - Number.EPSILON };
  const waits = [1, 2, 3, 4, 5, 6, 7].map((attempt) => backoffMs({ firstMs: 100, maxMs: 5_000 }, attempt, almostOne));
  expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000]);
});

test("jitter is full: the wait follows the fraction from nearly nothing to the upper end", () => {
  const policy = { firstMs: 1_000, maxMs: 60_000 };
  expect(backoffMs(policy, 1, { fraction: () => 0 })).toBe(1);
  expect(backoffMs(policy, 1, { fraction: () => 0.25 })).toBe(250);
  expect(backoffMs(policy, 3, { fraction: () => 0.5 })).toBe(2_000);
});

test("an attempt before the first is taken for the first", () => {
  expect(backoffMs({ firstMs: 100, maxMs: 5_000 }, 0, { fraction: () => 0.5 })).toBe(50);
});
