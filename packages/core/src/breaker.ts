/**
 * Keeps a dead destination from taking everybody's time: after `failuresMax` failures in a row it opens, and a probe may go per
 * backoff step until one succeeds. A pure state machine: state in, state out, the caller's clock. It knows nothing of what is under
 * way: from `probeAtMs` on it lets pass until it is told of an end, so its owner sends one message while `failures` is at its maximum.
 */
import { type BackoffPolicy, backoffMs } from "./backoff.ts";
import type { Random } from "./random.ts";

export interface Breaker {
  readonly failures: number;
  /** null: closed. Otherwise the monotonic time, in milliseconds, from which one probe may go. */
  readonly probeAtMs: number | null;
}

export interface BreakerPolicy extends BackoffPolicy {
  readonly failuresMax: number;
}

export const closedBreaker: Breaker = Object.freeze({ failures: 0, probeAtMs: null });

/** True if something may be sent now: the breaker is closed, or its probe is due. */
export function mayPass(breaker: Breaker, nowMs: number): boolean {
  return breaker.probeAtMs === null || nowMs >= breaker.probeAtMs;
}

/** After a success the breaker is closed, whatever it was. */
export function afterSuccess(): Breaker {
  return closedBreaker;
}

/**
 * After a failure: counted; at `failuresMax` in a row, or when a probe failed, open until the next probe. A failure that arrives
 * while the breaker is open was under way before it opened and changes nothing: a burst must not count as many failed probes.
 */
export function afterFailure(breaker: Breaker, policy: BreakerPolicy, nowMs: number, random: Random): Breaker {
  if (!mayPass(breaker, nowMs)) return breaker;
  const failures = breaker.failures + 1;
  if (failures < policy.failuresMax) return { failures, probeAtMs: null };
  return { failures, probeAtMs: nowMs + backoffMs(policy, failures - policy.failuresMax + 1, random) };
}
