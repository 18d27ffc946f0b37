/** Draws a few bugs by a seed, for runs that have no time for all of them: other seeds draw others. */
import { createHash } from "node:crypto";
import type { PlantedBug } from "./planted-bug.ts";

/** `count` of those that are caught quickly, the same ones for the same seed. */
export function drawBugs(bugs: readonly PlantedBug[], count: number, seed: number): readonly PlantedBug[] {
  return bugs
    .filter(({ isQuick }) => isQuick)
    .map((bug) => ({ bug, drawn: createHash("sha256").update(`${bug.name} ${seed}`).digest("hex") }))
    .sort((one, other) => (one.drawn < other.drawn ? -1 : 1))
    .slice(0, count)
    .map(({ bug }) => bug);
}
