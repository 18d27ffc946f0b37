import { expect, test } from "vitest";
import { drawScenarios } from "./draw.ts";
import { scenarios } from "./scenario-list.ts";

test("a seed draws the same scenarios each time, and seeds draw all of them", () => {
  expect(drawScenarios(scenarios, 2, 7)).toEqual(drawScenarios(scenarios, 2, 7));
  const drawn = Array.from({ length: 1_000 }, (_, seed) => drawScenarios(scenarios, 2, seed));
  expect(drawn.every(({ length }) => length === 2)).toBe(true);
  expect(new Set(drawn.flat()).size).toBe(scenarios.length);
});

test("more than there are is all of them", () => {
  expect(drawScenarios(scenarios, 1_000, 7)).toEqual(scenarios);
});
