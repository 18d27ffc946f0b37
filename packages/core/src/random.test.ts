import { expect, test } from "vitest";
import { systemRandom } from "./random.ts";

test("the system's fractions lie from 0 to below 1 and differ", () => {
  const fractions = Array.from({ length: 1_000 }, () => systemRandom.fraction());
  expect(fractions.every((fraction) => fraction >= 0 && fraction < 1)).toBe(true);
  expect(new Set(fractions).size).toBeGreaterThan(900);
});
