import { shortfalls } from "./effort.ts";
import { createFindings, type Findings } from "./findings.ts";
import type { History } from "./history.ts";
import { judgeDoubles } from "./judge-doubles.ts";
import { judgeGhosts } from "./judge-ghosts.ts";
import { judgeLosses } from "./judge-losses.ts";
import { judgeOrder } from "./judge-order.ts";
import { judgeQuiescence } from "./judge-quiescence.ts";
import { indexMessages, type Messages } from "./messages.ts";
import { indexReaders, type Readers } from "./readers.ts";
import type { Effort, Verdict } from "./verdict.ts";

/** What a run must have gone through to count. */
export interface AuditOptions {
  readonly effort?: Effort;
}

/**
 * Judges a finished run. Pure: no I/O, no clock; time and memory are linear in the history for a given number of readers.
 *
 * Edge: it judges what it is shown. A log that loses records makes losses, a journal that is not synced before COMMIT makes
 * ghosts, effects read from the dedupe table instead of the business tables can never be double.
 *
 * Throws `AuditInputError` when the history contradicts itself (see there).
 */
export function audit(history: History, options: AuditOptions = {}): Verdict {
  const findings = createFindings();
  const messages = indexMessages(history);
  const readers = indexReaders(history);
  count(history, messages, readers, findings);
  judgeLosses(history, messages, readers, findings);
  judgeGhosts(history, messages, findings);
  judgeDoubles(history, messages, readers, findings);
  judgeOrder(history, messages, readers, findings);
  judgeQuiescence(history, messages, findings);

  const reasons = shortfalls(history, findings.counts, options.effort ?? {});
  return {
    verdict: !findings.isClean() ? "failed" : reasons.length > 0 ? "inconclusive" : "passed",
    counts: findings.counts,
    witnesses: findings.witnesses(),
    reasons,
  };
}

/** The figures that are no faults. */
function count(history: History, messages: Messages, readers: Readers, { counts }: Findings): void {
  for (const message of messages.byId.values()) {
    if (message.fate === "committed") counts.committed += 1;
    if (message.fate === "rolledBack") counts.rolledBack += 1;
    if (message.intent?.outcome === "unknown") counts.unknown += 1;
  }
  const published = new Set<string>();
  let first = 0;
  for (const reader of readers.subscriptions.values()) {
    first += reader.firstAt.size;
    for (const id of reader.firstAt.keys()) published.add(id);
  }
  counts.published = published.size;
  counts.repeated = history.received.length - first;
  for (const effect of history.effects) counts.effects += effect.count ?? 1;
}
