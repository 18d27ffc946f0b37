/**
 * What a run says: broken or not, and if not, whether it was hard enough to say anything.
 *
 * `violated`      the auditor found something, money is missing, something was left over, a zombie wrote, a process ended by itself, or a criterion
 *                 of the scenario does not hold
 * `inconclusive`  nothing was found, but too little was done to the run for that to mean much
 * `valid`         nothing was found although everything that the run must go through was seen
 */
import { combineVerdicts, type Fault, type Verdict } from "@waybill/auditor";

/** The line that a run with --json ends with. */
export interface Outcome {
  readonly verdict: "valid" | "violated" | "inconclusive";
  /** Committed and never received or never handled though nothing says that it still will be; or only half there. */
  readonly lost: number;
  /** Received, handled or given up without having been committed, or with other bytes than stored. */
  readonly ghosts: number;
  /** Messages with more than one effect. */
  readonly doubled: number;
  readonly outOfOrder: number;
  /** Receptions beyond the first: legal, and proof that the inbox had work. */
  readonly repeated: number;
  /** What the inboxes found to be repeated. */
  readonly duplicates: number;
  readonly takeovers: number;
  /** Faults that were seen to bite. */
  readonly faults: number;
  readonly zombieWrites: number;
  /** Processes that ended by themselves. */
  readonly crashes: number;
  /** Work that was left over although nothing was in its way any more. */
  readonly unfinished: number;
  readonly committed: number;
  readonly rolledBack: number;
  readonly unknown: number;
  readonly effects: number;
  readonly seed: number;
  readonly seconds: number;
  readonly database: string;
  readonly broker: string;
  /** What was broken, and what was missing. */
  readonly reasons: readonly string[];
}

/** Everything that a run has gathered. */
export interface Evidence {
  readonly seed: number;
  readonly seconds: number;
  readonly database: string;
  readonly broker: string;
  /** Of each load, and each history that a scenario had judged. Empty is inconclusive. */
  readonly verdicts: readonly Verdict[];
  readonly takeovers: number;
  readonly zombieWrites: readonly string[];
  readonly crashes: readonly string[];
  readonly duplicates: number;
  readonly faults: readonly Fault[];
  /** Balances, leftovers, and criteria that do not hold. */
  readonly problems: readonly string[];
  /** What was not seen often enough. */
  readonly missing: readonly string[];
}

const eachMax = 5;

export function outcomeOf(evidence: Evidence): Outcome {
  const { verdicts, zombieWrites, crashes, faults, problems } = evidence;
  const audit = combineVerdicts(verdicts);
  const { counts } = audit;
  const broken = [
    ...(audit.verdict === "failed"
      ? audit.witnesses.map(({ code, what, messageId }) => `${code} ${messageId ?? ""} ${what}`.replace("  ", " "))
      : []),
    ...problems,
    ...zombieWrites.slice(0, eachMax),
    ...crashes.slice(0, eachMax),
  ];
  const missing = [...(audit.verdict === "inconclusive" ? audit.reasons : []), ...evidence.missing];
  return {
    verdict: broken.length > 0 ? "violated" : missing.length > 0 ? "inconclusive" : "valid",
    lost: counts.lost + counts.half,
    ghosts: counts.ghosts + counts.drifted,
    doubled: counts.doubled,
    outOfOrder: counts.outOfOrder,
    repeated: counts.repeated,
    duplicates: evidence.duplicates,
    takeovers: evidence.takeovers,
    faults: faults.filter(({ isObserved }) => isObserved).length,
    zombieWrites: zombieWrites.length,
    crashes: crashes.length,
    unfinished: counts.openRanges + counts.leased + counts.unfinished + counts.unread,
    committed: counts.committed,
    rolledBack: counts.rolledBack,
    unknown: counts.unknown,
    effects: counts.effects,
    seed: evidence.seed,
    seconds: evidence.seconds,
    database: evidence.database,
    broker: evidence.broker,
    reasons: [...broken, ...missing],
  };
}

export const exitCodes = { valid: 0, violated: 1, inconclusive: 3 } as const;
