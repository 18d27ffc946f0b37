/**
 * How the process is told to stop.
 *
 *     SIGTERM, SIGINT ──first──▶ `signal` aborts ─▶ everything ends ─▶ the process ends with its own code
 *                     └─second─▶ exit 1 at once
 *     first + deadline ────────▶ exit 1: something did not end in time
 */
import type { Clock } from "@waybill/core";
import { exitCodes } from "./exit-codes.ts";

/** What of a process is used; a test brings its own. */
export interface StoppableProcess {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  exit(code: number): unknown;
}

export interface StopOptions {
  readonly process: StoppableProcess;
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly onStopping: (signal: NodeJS.Signals) => void;
  readonly onDeadline: () => void;
}

export interface Stop {
  /** Aborts at the first signal. */
  readonly signal: AbortSignal;
  /** Monotonic time by which everything should have ended; null: no signal came. */
  deadlineAtMs(): number | null;
  /** Stops listening: the process ends by itself. */
  end(): void;
}

const signals: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"];

export function stopOnSignals({ process, clock, deadlineMs, onStopping, onDeadline }: StopOptions): Stop {
  const abort = new AbortController();
  let deadlineAtMs: number | null = null;
  let cancel: () => void = () => undefined;
  const listener = (signal: NodeJS.Signals): void => {
    if (abort.signal.aborted) {
      process.exit(exitCodes.failed);
      return;
    }
    deadlineAtMs = clock.monotonicMs() + deadlineMs;
    const timer = clock.setTimer(deadlineMs, () => {
      onDeadline();
      process.exit(exitCodes.failed);
    });
    cancel = () => timer.cancel();
    onStopping(signal);
    abort.abort();
  };
  for (const signal of signals) process.on(signal, listener);
  return {
    signal: abort.signal,
    deadlineAtMs: () => deadlineAtMs,
    end() {
      cancel();
      for (const signal of signals) process.off(signal, listener);
    },
  };
}
