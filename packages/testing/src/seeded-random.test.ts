import { expect, it } from "vitest";
import { seededRandom } from "./seeded-random.ts";

const sequence = (seed: number): number[] => {
  const random = seededRandom(seed);
  return Array.from({ length: 1_000 }, () => random.fraction());
};

it("one seed is one sequence", () => {
  expect(sequence(7)).toEqual(sequence(7));
  expect(sequence(7)).not.toEqual(sequence(8));
});

it("fractions are spread from 0 to below 1", () => {
  const fractions = sequence(1);
  expect(Math.min(...fractions)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...fractions)).toBeLessThan(1);
  const tenths = Array.from({ length: 10 }, (_, tenth) => fractions.filter((value) => Math.floor(value * 10) === tenth).length);
  for (const count of tenths) expect(count).toBeGreaterThan(60);
});
