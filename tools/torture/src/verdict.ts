/**
 * What a run says: broken or not, and if not, whether it was hard enough to say anything.
 *
 * `violated`      the auditor found something, a zombie wrote, or a relay ended by itself
 * `inconclusive`  nothing was found, but too little was done to the run for that to mean much
 * `valid`         nothing was found although everything below happened at least so often
 */
import type { Fault, Verdict } from "@waybill/auditor";
import type { LeaseJudgement } from "@waybill/testing";
import type { Fault as Planned } from "./schedule.ts";

export interface TortureResult {
  readonly verdict: "valid" | "violated" | "inconclusive";
  /** Committed and never received though nothing says that it still will be; or only half there. */
  readonly lost: number;
  /** Received, or given up, without having been committed, or with other bytes than stored. */
  readonly ghosts: number;
  readonly outOfOrder: number;
  readonly repeated: number;
  readonly takeovers: number;
  /** Faults that were seen to bite. */
  readonly faults: number;
  readonly zombieWrites: number;
  /** Relays that ended by themselves. */
  readonly crashes: number;
  /**
   * Work that was left over although nothing was in its way any more: ranges open, leases held, and messages that the cursor says are
   * still to be sent.
   */
  readonly unfinished: number;
  readonly committed: number;
  readonly rolledBack: number;
  readonly unknown: number;
  /** Holes that filled: first arrivals with an id below one that had arrived before. */
  readonly lateHoles: number;
  /** Ids below the last one that no row ever had. */
  readonly deadIds: number;
  readonly seed: number;
  readonly minutes: number;
  readonly database: string;
  /** What was broken, and what was missing. */
  readonly reasons: readonly string[];
}

/** What a run went through, by its own count. */
export interface Effort {
  readonly faults: readonly Fault[];
  readonly lateHoles: number;
  readonly deadIds: number;
  /** Messages never received, which the cursor says are still to be sent. */
  readonly owed: number;
  /** Transactions that writers completed, by their shape. */
  readonly shapes: ReadonlyMap<string, number>;
}

export interface Trial {
  readonly seed: number;
  readonly minutes: number;
  readonly database: string;
  readonly isServerOurs: boolean;
  readonly audit: Verdict;
  readonly lease: LeaseJudgement;
  /** How relays ended by themselves, in words. */
  readonly crashes: readonly string[];
  readonly effort: Effort;
}

/** What must have been seen in each minute of load. About half of what is planned: the other half may miss. */
const perMinute = { takeovers: 2, committed: 200, rolledBack: 30, unknown: 1, repeated: 5, lateHoles: 20, deadIds: 100 };
const faultsPerMinute: Readonly<Partial<Record<Planned["kind"], number>>> = {
  killRelay: 1.5,
  stopRelay: 1,
  endRelay: 0.4,
  partitionRelay: 1.5,
  killWriter: 0.5,
  destination: 1,
};
const serverFaultsPerMinute: Readonly<Partial<Record<Planned["kind"], number>>> = { killServer: 0.5 };
/** Each must have been completed in a minute of load; rarer ones in proportion. */
const shapesPerMinute: Readonly<Record<string, number>> = {
  savepoint: 10,
  slowCommit: 3,
  killedClient: 2,
  unheardCommit: 2,
  burnedIds: 4,
  hashed: 20,
  rollBackMany: 0.3,
};

export function resultOf(trial: Trial): TortureResult {
  const { audit, lease, effort, crashes, minutes } = trial;
  const { counts } = audit;
  const broken = [
    ...(audit.verdict === "failed"
      ? audit.witnesses.map(({ code, what, messageId }) => `${code} ${messageId ?? ""} ${what}`.replace("  ", " "))
      : []),
    ...lease.zombieWrites
      .slice(0, 5)
      .map(({ epoch, backend, lastId }) => `the cursor ${lastId} was written under epoch ${epoch} by a zombie, backend ${backend}`),
    ...crashes.slice(0, 5),
  ];
  const missing = audit.verdict === "inconclusive" ? [...audit.reasons] : [];
  const demand = (what: string, found: number, leastInAMinute: number): void => {
    const least = Math.floor(leastInAMinute * minutes);
    if (found < least) missing.push(`${what}: ${found} of at least ${least}`);
  };
  demand("takeovers", lease.takeovers, perMinute.takeovers);
  demand("committed messages", counts.committed, perMinute.committed);
  demand("rolled back messages", counts.rolledBack, perMinute.rolledBack);
  demand("unknown outcomes", counts.unknown, perMinute.unknown);
  demand("repeated receptions", counts.repeated, perMinute.repeated);
  demand("holes that filled", effort.lateHoles, perMinute.lateHoles);
  demand("ids without a row", effort.deadIds, perMinute.deadIds);
  const observed = (kind: string): number => effort.faults.filter((fault) => fault.kind === kind && fault.isObserved).length;
  for (const [kind, least] of Object.entries({ ...faultsPerMinute, ...(trial.isServerOurs ? serverFaultsPerMinute : {}) })) {
    demand(`faults ${kind}`, observed(kind), least);
  }
  for (const [shape, least] of Object.entries(shapesPerMinute)) demand(`transactions ${shape}`, effort.shapes.get(shape) ?? 0, least);

  return {
    verdict: broken.length > 0 ? "violated" : missing.length > 0 ? "inconclusive" : "valid",
    lost: Math.max(0, counts.lost - effort.owed) + counts.half,
    ghosts: counts.ghosts + counts.drifted + counts.doubled,
    outOfOrder: counts.outOfOrder,
    repeated: counts.repeated,
    takeovers: lease.takeovers,
    faults: effort.faults.filter(({ isObserved }) => isObserved).length,
    zombieWrites: lease.zombieWrites.length,
    crashes: crashes.length,
    unfinished: counts.openRanges + counts.leased + counts.unfinished + effort.owed,
    committed: counts.committed,
    rolledBack: counts.rolledBack,
    unknown: counts.unknown,
    lateHoles: effort.lateHoles,
    deadIds: effort.deadIds,
    seed: trial.seed,
    minutes,
    database: trial.database,
    reasons: [...broken, ...missing],
  };
}
