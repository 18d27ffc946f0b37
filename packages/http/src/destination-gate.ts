/**
 * May something be sent to this destination now? Two things close it, and both open by time:
 *
 *     open ──5 failures in a row──▶ closed ──probe due──▶ one probe ──success──▶ open
 *                                     ▲                      └── failure: longer ──┐
 *                                     └────────────────────────────────────────────┘
 *     open ──Retry-After of a whole destination──▶ paused until then
 *
 * A failure is a result that speaks about the destination: `unknown`, or `retry` of scope topic. Any other answer, a refusal of
 * this message included, shows that somebody is there.
 */
import {
  afterFailure,
  afterSuccess,
  type Breaker,
  type BreakerPolicy,
  closedBreaker,
  mayPass,
  type PublishOutcome,
  type Random,
} from "@waybill/core";

/** Found again within 5 s of being back. */
export const breakerPolicy: BreakerPolicy = { failuresMax: 5, firstMs: 100, maxMs: 5_000 };

/** `isProbe`: the one message that finds out whether the destination is back. */
export type Passage =
  | { readonly kind: "pass"; readonly isProbe: boolean }
  | { readonly kind: "wait"; readonly reason: "breakerOpen" | "retryAfter"; readonly afterMs: number };

type Pass = Extract<Passage, { readonly kind: "pass" }>;

export interface DestinationGate {
  /** Whether it is worth waiting for a slot. */
  look(nowMs: number): Passage;
  /** Asked right before sending. After `pass` either the outcome is noted or `abandon` called. */
  enter(nowMs: number): Passage;
  /** Notes an outcome and answers it, raised to scope `topic` while the breaker is open. `change` tells if the breaker turned. */
  note(
    pass: Pass,
    outcome: PublishOutcome,
    nowMs: number,
  ): { readonly outcome: PublishOutcome; readonly change: "opened" | "closed" | null };
  /** What was let through was not sent, for reasons that say nothing about the destination. */
  abandon(pass: Pass): void;
  /** True if nothing would be lost by forgetting this gate. */
  isBlank(nowMs: number): boolean;
}

export function destinationGate(random: Random): DestinationGate {
  let breaker: Breaker = closedBreaker;
  let pausedUntilMs = Number.NEGATIVE_INFINITY;
  let isProbing = false;

  const look = (nowMs: number): Passage => {
    if (nowMs < pausedUntilMs) return { kind: "wait", reason: "retryAfter", afterMs: Math.ceil(pausedUntilMs - nowMs) };
    if (breaker.probeAtMs === null) return { kind: "pass", isProbe: false };
    if (isProbing) return { kind: "wait", reason: "breakerOpen", afterMs: breakerPolicy.firstMs };
    if (mayPass(breaker, nowMs)) return { kind: "pass", isProbe: true };
    return { kind: "wait", reason: "breakerOpen", afterMs: Math.ceil(breaker.probeAtMs - nowMs) };
  };

  const abandon = (pass: Pass): void => {
    if (pass.isProbe) isProbing = false;
  };

  const pause = (nowMs: number, afterMs: number | undefined): void => {
    if (afterMs !== undefined) pausedUntilMs = Math.max(pausedUntilMs, nowMs + afterMs);
  };

  return {
    look,
    enter(nowMs) {
      const passage = look(nowMs);
      if (passage.kind === "pass" && passage.isProbe) isProbing = true;
      return passage;
    },
    note(pass, outcome, nowMs) {
      abandon(pass);
      const wasOpen = breaker.probeAtMs !== null;
      if (outcome.kind === "confirmed" || outcome.kind === "rejected" || (outcome.kind === "retry" && outcome.scope !== "topic")) {
        breaker = afterSuccess();
        return { outcome, change: wasOpen ? "closed" : null };
      }
      // While the breaker is open only the probe speaks: what was under way when it opened would count as failed probes.
      if (!wasOpen || pass.isProbe) breaker = afterFailure(breaker, breakerPolicy, nowMs, random);
      if (outcome.scope === "topic" || breaker.probeAtMs !== null) pause(nowMs, outcome.afterMs);
      if (breaker.probeAtMs === null) return { outcome, change: null };
      const afterMs = Math.max(1, Math.ceil(Math.max(breaker.probeAtMs, pausedUntilMs) - nowMs));
      return { outcome: { ...outcome, scope: "topic", afterMs }, change: wasOpen ? null : "opened" };
    },
    abandon,
    isBlank: (nowMs) => breaker.failures === 0 && nowMs >= pausedUntilMs,
  };
}
