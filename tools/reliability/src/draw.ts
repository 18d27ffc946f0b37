/** Draws a few scenarios by a seed, for runs that have no time for all of them: other seeds draw others. */
import { seededRandom } from "@waybill/testing";
import type { Scenario } from "./scenario.ts";

/** `count` of them, or all if there are fewer, in their order; the same ones for the same seed. */
export function drawScenarios(all: readonly Scenario[], count: number, seed: number): readonly Scenario[] {
  const random = seededRandom(seed);
  const left = [...all];
  const drawn = new Set<Scenario>();
  while (drawn.size < count && left.length > 0) {
    for (const one of left.splice(Math.floor(random.fraction() * left.length), 1)) drawn.add(one);
  }
  return all.filter((one) => drawn.has(one));
}
