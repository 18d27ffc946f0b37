/** Runs a build that is broken on purpose until the verdict says so: a run that finds nothing in it would find nothing anywhere. */
import { join } from "node:path";
import { patchedTree } from "@waybill-tool/planted-bugs";
import type { BrokenBuild } from "./broken-builds.ts";
import type { Server } from "./place.ts";
import { runTorture } from "./run-torture.ts";

export interface CatchOptions {
  readonly build: BrokenBuild;
  readonly server: Server;
  /** Of the first run; each further one takes the next. */
  readonly seed: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface Caught {
  readonly name: string;
  readonly isCaught: boolean;
  /** From the first run's begin to the verdict, its quiet end and all between included. */
  readonly seconds: number;
  readonly runs: number;
  /** The seed that showed it, or the last one tried. */
  readonly seed: number;
  /** What gave it away. */
  readonly reasons: readonly string[];
}

const runMinutes = 0.5;
const runsMax = 10;

export async function catchBroken({ build, server, seed, say, signal }: CatchOptions): Promise<Caught> {
  say(`${build.name}: ${build.defect}`);
  const tree = patchedTree();
  const beganMs = performance.now();
  try {
    tree.plant(build.replacements);
    for (let runs = 1; ; runs += 1) {
      const own = (seed + runs - 1) % 2 ** 32;
      const result = await runTorture({
        server,
        seed: own,
        minutes: runMinutes,
        relayProgram: join(tree.folder, "tools/torture/dist/relay-program.js"),
        keepsHistory: false,
        say,
        signal,
      });
      const isCaught = result.verdict === "violated";
      if (!isCaught && runs < runsMax) continue;
      const seconds = Math.round((performance.now() - beganMs) / 100) / 10;
      return { name: build.name, isCaught, seconds, runs, seed: own, reasons: isCaught ? result.reasons.slice(0, 3) : [] };
    }
  } finally {
    tree.remove();
  }
}
