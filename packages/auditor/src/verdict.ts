/**
 * What a run can break.
 *
 * - `NL` no loss: a committed message reached every subscription's destination and has an effect in every inbox, or a dead letter names it
 * - `NG` no ghost: nothing was received, given up or done for a message that did not commit or that nobody wrote; all bytes are the stored ones
 * - `ND` no double: at most one effect per consumer and message id, one ledger row per message id
 * - `OK` order per key: ledger order is the writers' order; first publications and first effects are in ledger order
 * - `QS` quiescence: nothing is leased, no range open, nothing unread, nothing released and not done
 * - `half` a transaction took place in part: business row without message row or the inverse, dedupe row without effect or the inverse
 */
export type InvariantCode = "NL" | "NG" | "ND" | "OK" | "QS" | "half";

/** `inconclusive`: nothing was found broken, and the run was not hard or not complete enough to mean something. Never taken for green. */
export type VerdictKind = "passed" | "failed" | "inconclusive";

/** Figures of a run. From `lost` on each must be 0; of `published` to `effects` none is a fault. */
export interface Counts {
  /** Messages that are facts: journaled as committed, or with an unknown outcome and found, or found without a journal. */
  readonly committed: number;
  /** Messages that are none: journaled as rolled back, or with an unknown outcome and not found. */
  readonly rolledBack: number;
  /** Journaled outcomes that stayed unknown; each is also in `committed` or `rolledBack`, or `half`. */
  readonly unknown: number;
  /** Messages that at least one destination received. */
  readonly published: number;
  /** Receptions beyond the first per subscription and message. Legal: delivery is at least once. */
  readonly repeated: number;
  /** Committed effects, double ones included. */
  readonly effects: number;
  /** Messages missing at a subscription's destination or in an inbox. */
  readonly lost: number;
  /** Message ids that must not exist and do. */
  readonly ghosts: number;
  /** Messages whose bytes, topic, key or sequence are not those stored. */
  readonly drifted: number;
  /** Consumers' messages with more than one effect, and message ids with more than one ledger row. */
  readonly doubled: number;
  /** Messages that came too late: per subscription, per consumer, and in the ledger itself. */
  readonly outOfOrder: number;
  /** Messages, per consumer where it is an inbox, of which only one half is there. */
  readonly half: number;
  /** Subscriptions whose lease is still held. */
  readonly leased: number;
  /** Stored ranges that never closed. */
  readonly openRanges: number;
  /** Ledger rows beyond the cursor, summed over subscriptions. */
  readonly unread: number;
  /** Messages spilled, released, or held with nothing before them: work a relay should have finished. */
  readonly unfinished: number;
}

/** One step of the way to a violation. Positions count from 0 in the history's list named by `source`. */
export interface TraceStep {
  readonly source: "intents" | "businessRows" | "ledger" | "received" | "deadLetters" | "effects" | "handled" | "subscriptions";
  readonly position: number;
  readonly messageId?: string;
  readonly what: string;
}

/** A violation with the least that shows it. Ids and names only: never a payload or a key. */
export interface Witness {
  readonly code: InvariantCode;
  readonly what: string;
  readonly messageId?: string;
  /** Decimal, for JSON has no 64-bit integers. */
  readonly sequence?: string;
  /** The subscription or consumer concerned. */
  readonly reader?: string;
  readonly trace: readonly TraceStep[];
}

/** The judgement; plain JSON. */
export interface Verdict {
  readonly verdict: VerdictKind;
  readonly counts: Counts;
  /** At most 20, every broken invariant among them. */
  readonly witnesses: readonly Witness[];
  /** What the run lacked to be conclusive. Also filled beside violations. */
  readonly reasons: readonly string[];
}

/** How hard a run must have been. All default to 0, but for `committedMin`: an empty run proves nothing. */
export interface Effort {
  /** Messages that are facts. Default 1. */
  readonly committedMin?: number;
  /** Faults whose effect was observed. */
  readonly faultsMin?: number;
  /** Repeated receptions: proof that the deduplication had work. */
  readonly repeatedMin?: number;
  readonly takeoversMin?: number;
  /** Journaled outcomes that stayed unknown. */
  readonly unknownMin?: number;
  readonly rolledBackMin?: number;
}

/** The verdicts of several ledgers as one: worst kind, summed figures, witnesses of each taken in turns up to 20. */
export function combineVerdicts(verdicts: readonly Verdict[]): Verdict {
  const kinds = verdicts.map((each) => each.verdict);
  const worst = kinds.includes("failed") ? "failed" : kinds.includes("inconclusive") || kinds.length === 0 ? "inconclusive" : "passed";
  const counts: Record<keyof Counts, number> = { ...noCounts };
  for (const each of verdicts) for (const name of countNames) counts[name] += each.counts[name];
  return {
    verdict: worst,
    counts,
    witnesses: inTurns(verdicts.map((each) => each.witnesses)).slice(0, witnessesMax),
    reasons: verdicts.length === 0 ? ["there is no verdict to combine"] : verdicts.flatMap((each) => each.reasons),
  };
}

export const witnessesMax = 20;

export const noCounts: Counts = {
  committed: 0,
  rolledBack: 0,
  unknown: 0,
  published: 0,
  repeated: 0,
  effects: 0,
  lost: 0,
  ghosts: 0,
  drifted: 0,
  doubled: 0,
  outOfOrder: 0,
  half: 0,
  leased: 0,
  openRanges: 0,
  unread: 0,
  unfinished: 0,
};

const countNames = Object.keys(noCounts) as (keyof Counts)[];

/** First of each list, second of each list, …: so that cutting the result keeps something of every list. */
export function inTurns<Item>(lists: readonly (readonly Item[])[]): Item[] {
  const longest = lists.reduce((most, list) => Math.max(most, list.length), 0);
  const result: Item[] = [];
  for (let turn = 0; turn < longest; turn += 1) {
    for (const list of lists) {
      const item = list[turn];
      if (item !== undefined) result.push(item);
    }
  }
  return result;
}
