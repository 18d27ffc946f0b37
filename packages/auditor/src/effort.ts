import type { History } from "./history.ts";
import type { Counts, Effort } from "./verdict.ts";

/**
 * Why a run proves nothing although nothing was found: it was too easy, or a question could not be asked. Empty means conclusive.
 */
export function shortfalls(history: History, counts: Counts, effort: Effort): readonly string[] {
  const reasons: string[] = [];
  const demand = (what: string, found: number, least: number): void => {
    if (found < least) reasons.push(`${what}: ${found} of at least ${least}`);
  };
  demand("committed messages", counts.committed, effort.committedMin ?? 1);
  demand("rolled back messages", counts.rolledBack, effort.rolledBackMin ?? 0);
  demand("unknown outcomes", counts.unknown, effort.unknownMin ?? 0);
  demand("faults observed", history.faults?.filter((fault) => fault.isObserved).length ?? 0, effort.faultsMin ?? 0);
  demand("repeated receptions", counts.repeated, effort.repeatedMin ?? 0);
  demand("takeovers", history.takeovers ?? 0, effort.takeoversMin ?? 0);
  if (history.subscriptions.length === 0) reasons.push("no subscription was declared, so nothing can be missing");
  if (counts.unknown > 0 && history.businessRows === undefined) {
    reasons.push(`${counts.unknown} unknown outcomes and no business rows to compare: a half-done transaction would not be seen`);
  }
  return reasons;
}
