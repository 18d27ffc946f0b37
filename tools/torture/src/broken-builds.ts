/** The planted bugs that a torture run is said to see. They are listed where all of them are: `tools/planted-bugs`. */
import { type PlantedBug, plantedBugs } from "@waybill-tool/planted-bugs";

export type BrokenBuild = PlantedBug;

export const brokenBuilds: readonly BrokenBuild[] = plantedBugs.filter(({ torture }) => torture.length > 0);
