/** What the torture run needs: the bugs that it is said to see, and a copy with one of them in it. */
export { type PatchedTree, patchedTree } from "./patched-tree.ts";
export type { PlantedBug } from "./planted-bug.ts";
export { plantedBugs } from "./planted-bugs.ts";
