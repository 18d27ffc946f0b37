/**
 * What becomes of a delivery after an attempt: the outcome and what its row says go in, what is to be written comes out. No I/O.
 *
 *     pending ──▶ confirmed ──▶ implicit: acked
 *        ▲            └───────▶ explicit: awaiting_ack ──▶ acked
 *        │                          │ └── nack, permanent ──▶ dead
 *        │                          └──── deadline, nack ───▶ published again, the same id; past maxRedeliveries ──▶ dead
 *        └── retry, unknown ── charged to the message: later, growing; past maxAttempts or giveUpAfterMs ──▶ dead
 *                         └─── of a topic or the transport: the destination's breaker says when, and the message pays nothing
 *     rejected ──▶ dead at once
 *
 * An attempt is counted when it begins. A crash in the middle therefore costs one, and a message that kills whoever publishes it comes to its end.
 */
import { type BackoffPolicy, type BreakerPolicy, behindItsKey, type PublishOutcome, type Random } from "@waybill/core";

export type AckMode = "implicit" | "explicit";

/** What a destination is configured with, as far as deliveries to it are concerned. Times in milliseconds. */
export interface DeliveryPolicy {
  readonly ack: AckMode;
  /** Whether messages of a key wait for each other. */
  readonly ordering: "key" | "none";
  /** What the next message of a key waits for: that the one before was published, or that it was acknowledged. */
  readonly keyOrder: "publish" | "ack";
  readonly publishTimeoutMs: number;
  readonly breaker: BreakerPolicy;
  /** How many messages one call of the transport carries at most. */
  readonly batch: number;
  /** null: no limit but time. */
  readonly maxAttempts: number | null;
  readonly giveUpAfterMs: number;
  readonly backoff: BackoffPolicy;
  readonly ackDeadlineMs: number;
  readonly maxRedeliveries: number;
}

/** What the row says about the attempt that has just ended. */
export interface AttemptFacts {
  /** This one included. */
  readonly attempt: number;
  /** How many of the attempts followed one that was confirmed and never acknowledged. */
  readonly redeliveries: number;
  /** Below 0: past. */
  readonly givesUpInMs: number | null;
  readonly ackMode: AckMode;
}

export type DeliveryVerdict =
  | { readonly kind: "acked" }
  | { readonly kind: "awaitAck"; readonly deadlineMs: number }
  | { readonly kind: "dead"; readonly reason: string }
  | { readonly kind: "again"; readonly afterMs: number; readonly isCharged: true }
  /** Not the message's fault. afterMs null: when the destination's breaker says. */
  | { readonly kind: "again"; readonly afterMs: number | null; readonly isCharged: false };

/** ±20 %, so that what failed together does not come back together. */
const jitter = 0.2;

/** The wait after so many failures, from 1: doubling from `firstMs` to `maxMs`, ±20 %. Each wait is longer than the one before, until they are longest. */
export function retryDelayMs({ firstMs, maxMs }: BackoffPolicy, failures: number, random: Random): number {
  const plainMs = Math.min(maxMs, firstMs * 2 ** Math.min(Math.max(0, failures - 1), 40));
  return Math.max(1, Math.round(plainMs * (1 - jitter + 2 * jitter * random.fraction())));
}

export function afterAttempt(outcome: PublishOutcome, facts: AttemptFacts, policy: DeliveryPolicy, random: Random): DeliveryVerdict {
  switch (outcome.kind) {
    case "confirmed":
      return facts.ackMode === "implicit" ? { kind: "acked" } : { kind: "awaitAck", deadlineMs: policy.ackDeadlineMs };
    case "rejected":
      return { kind: "dead", reason: "rejected" };
    case "retry":
    case "unknown": {
      if (outcome.scope !== "message") return { kind: "again", afterMs: null, isCharged: false };
      const isBehind = outcome.kind === "retry" && outcome.error.facts.reason === behindItsKey;
      if (isBehind) return { kind: "again", afterMs: policy.backoff.firstMs, isCharged: false };
      return afterFailure(facts, policy, outcome.afterMs ?? 0, random);
    }
  }
}

/** Charged to the message. */
function afterFailure(
  { attempt, redeliveries, givesUpInMs }: AttemptFacts,
  { maxAttempts, backoff }: DeliveryPolicy,
  notBeforeMs: number,
  random: Random,
): DeliveryVerdict {
  const failures = attempt - redeliveries;
  if (maxAttempts !== null && failures >= maxAttempts) return { kind: "dead", reason: "attempts_exhausted" };
  if (givesUpInMs !== null && givesUpInMs <= 0) return { kind: "dead", reason: "time_exhausted" };
  return { kind: "again", afterMs: Math.max(notBeforeMs, retryDelayMs(backoff, failures, random)), isCharged: true };
}

/** True if a confirmed delivery, not acknowledged in time, was published again often enough. `redeliveries` counts the one that would come now. */
export function isUnacknowledged(redeliveries: number, { maxRedeliveries }: Pick<DeliveryPolicy, "maxRedeliveries">): boolean {
  return redeliveries > maxRedeliveries;
}

/**
 * What a call of the transport says about the destination: something confirmed – it lives; nothing, and a failure that reaches beyond one message –
 * it failed; else it said nothing. What we did not write for our own lease's sake says nothing either.
 */
export function destinationHealth(outcomes: readonly PublishOutcome[]): "lives" | "fails" | "untold" {
  if (outcomes.some(({ kind }) => kind === "confirmed")) return "lives";
  return outcomes.some(isScopedFailure) ? "fails" : "untold";
}

function isScopedFailure(outcome: PublishOutcome): boolean {
  if (outcome.kind !== "retry" && outcome.kind !== "unknown") return false;
  return outcome.scope !== "message" && outcome.error.facts.reason !== "leaseLost";
}
