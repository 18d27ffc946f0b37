/** Runs a build that is broken on purpose until the verdict says so: a run that finds nothing in it would find nothing anywhere. */
import type { BrokenBuild } from "./broken-builds.ts";
import { patchedCopy } from "./patched-copy.ts";
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
  const copy = await patchedCopy(build);
  const beganMs = performance.now();
  try {
    for (let runs = 1; ; runs += 1) {
      const own = (seed + runs - 1) % 2 ** 32;
      const result = await runTorture({
        server,
        seed: own,
        minutes: runMinutes,
        relayProgram: copy.relayProgram,
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
    await copy.remove();
  }
}
