/**
 * What becomes of messages of one lane after a call: a pure fold over their outcomes, in their order.
 *
 * A key stops at its first outcome that is not `confirmed`; what a transport says of those behind it is not asked. Should it confirm
 * one of them, that does not count: an id is finished only when no earlier id of its key is open, so it is published again in its turn.
 * That it may be stored is remembered, for the case that it becomes a dead letter.
 */
import { type FailureScope, type PublishOutcome } from "@waybill/core";

export type Verdict =
  /** The first `confirmed` messages are finished; the lane goes on. */
  | { readonly kind: "done" }
  /** The message after them can never be published. */
  | { readonly kind: "rejected"; readonly reason: string }
  /** The message after them is to be tried again, after its lane, its topic or everything has waited. */
  | {
      readonly kind: "failed";
      readonly scope: FailureScope;
      readonly reason: string;
      readonly afterMs: number;
      readonly mayBeStored: boolean;
    };

export interface LaneOutcome {
  readonly confirmed: number;
  readonly verdict: Verdict;
}

export function laneOutcome(outcomes: readonly PublishOutcome[], from: number, to: number): LaneOutcome {
  for (let place = from; place < to; place += 1) {
    const outcome = outcomes[place];
    if (outcome === undefined || outcome.kind === "confirmed") continue;
    return { confirmed: place - from, verdict: verdictOf(outcome) };
  }
  return { confirmed: to - from, verdict: { kind: "done" } };
}

function verdictOf(outcome: Exclude<PublishOutcome, { kind: "confirmed" }>): Verdict {
  const { reason: word, brokerCode } = outcome.error.facts;
  const reason = brokerCode === null ? word : `${word}:${brokerCode}`;
  switch (outcome.kind) {
    case "rejected":
      return { kind: "rejected", reason };
    case "retry":
      return { kind: "failed", scope: outcome.scope, reason, afterMs: outcome.afterMs ?? 0, mayBeStored: false };
    case "unknown":
      return { kind: "failed", scope: outcome.scope, reason, afterMs: outcome.afterMs ?? 0, mayBeStored: true };
  }
}
