import type { AttemptCounts } from "@waybill/core";
import type { Engine } from "./engine.ts";

/** How an inbox stands, from what this process knows: nothing is asked of a database or broker. */
export interface InboxHealth {
  /** `new`: nobody has called `run` or `process` so far. */
  readonly state: "new" | "running" | "stopped";
  /** Deliveries that are here and not settled, or told to come again and expected back; at most 10 000 are counted. */
  readonly unhandled: number;
  /** How long ago the oldest of them was delivered here first; 0: there is none. */
  readonly oldestUnhandledMs: number;
  /**
   * For how long there has been one and no delivery was settled as done; 0: there is none. What stands still shows here, and not a wait that a handler or a
   * retry policy asked for.
   */
  readonly stuckMs: number;
  /** What the source of `run` failed with, until something is done again or it has gone well for 90 s; null: it did not. */
  readonly sourceFailure: string | null;
  /** The code of what went wrong last – an attempt, a transaction, the source – since the last delivery that was done; null: nothing. */
  readonly lastFailure: string | null;
  /** The last thousand attempts: what the alert goes by. */
  readonly attempts: AttemptCounts;
}

const calmMs = 90_000;

export function inboxHealth({ settings: { clock }, unhandled, failures, failureAlert }: Engine, state: InboxHealth["state"]): InboxHealth {
  const { code, source } = failures;
  const isCalm = source !== null && source.againSinceMs !== null && clock.monotonicMs() - source.againSinceMs >= calmMs;
  return {
    state,
    unhandled: unhandled.count(),
    oldestUnhandledMs: unhandled.oldestMs(),
    stuckMs: unhandled.stuckMs(),
    sourceFailure: isCalm ? null : (source?.code ?? null),
    lastFailure: code,
    attempts: failureAlert.attempts(),
  };
}
