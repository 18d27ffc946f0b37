import { setImmediate } from "node:timers/promises";
import type { Clock, Timer } from "@waybill/core";

export interface ManualClockOptions {
  /** Where monotonic time begins. Default 0. */
  readonly monotonicMs?: number;
  /** What the wall says then. Default 2026-01-01T00:00:00Z. */
  readonly wallMs?: number;
}

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /** Timers that are set and have not fired. */
  readonly timers: number;
  /** Milliseconds until the next timer fires, or null if none is set. */
  readonly nextTimerMs: number | null;
  /**
   * Moves both times on by `ms` and fires what falls due on the way: in the order of due times, those of one moment in the order they
   * were set. After each timer everything that follows from it runs first – settled promises, timers they set – as it would in life.
   */
  advance(ms: number): Promise<void>;
  /** Moves only the wall clock, as an operator or NTP does; it may go back. */
  jumpWall(ms: number): void;
}

/** Makes a clock under the control of a test. */
export function manualClock(options: ManualClockOptions = {}): ManualClock {
  let monotonicMs = options.monotonicMs ?? 0;
  let wallAheadMs = (options.wallMs ?? Date.UTC(2026, 0, 1)) - monotonicMs;
  const timers = new Set<{ readonly dueMs: number; readonly callback: () => void }>();

  const next = (): { readonly dueMs: number; readonly callback: () => void } | null => {
    let first: { readonly dueMs: number; readonly callback: () => void } | null = null;
    for (const timer of timers) if (first === null || timer.dueMs < first.dueMs) first = timer;
    return first;
  };
  return {
    monotonicMs: () => monotonicMs,
    wallMs: () => monotonicMs + wallAheadMs,
    setTimer(afterMs, callback): Timer {
      const timer = { dueMs: monotonicMs + Math.max(0, afterMs), callback };
      timers.add(timer);
      return { cancel: () => timers.delete(timer) };
    },
    get timers() {
      return timers.size;
    },
    get nextTimerMs() {
      const timer = next();
      return timer === null ? null : timer.dueMs - monotonicMs;
    },
    async advance(ms) {
      const untilMs = monotonicMs + ms;
      await setImmediate(); // what is about to set a timer sets it before time passes
      for (let timer = next(); timer !== null && timer.dueMs <= untilMs; timer = next()) {
        timers.delete(timer);
        monotonicMs = Math.max(monotonicMs, timer.dueMs);
        timer.callback();
        await setImmediate();
      }
      monotonicMs = untilMs;
    },
    jumpWall(ms) {
      wallAheadMs += ms;
    },
  };
}
