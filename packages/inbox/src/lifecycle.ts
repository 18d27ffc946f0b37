import type { Clock, Timer } from "@waybill/core";

/** The moment at which whatever still runs is ended. */
export interface Cut {
  /** Calls `callback` at that moment, or at once if it has come. Answers how to take it back. */
  onCut(callback: () => void): () => void;
}

/** When to stop: `stop` starts nothing more, `cut` ends what runs. */
export interface Lifecycle {
  readonly stop: AbortSignal;
  readonly cut: Cut;
}

export interface Drain {
  readonly life: Lifecycle;
  /** Resolves when even the cut was some time ago. */
  readonly overdue: Promise<void>;
  end(): void;
}

/** How much longer than the drain a source may take to end before nobody waits for it any more. */
export const drainMarginMs = 1_000;

/** `stop` when the signal aborts, `cut` when the drain's deadline has passed then. The signal is the caller's own to listen to. */
export function startDrain(signal: AbortSignal, clock: Clock, drainDeadlineMs: number): Drain {
  const callbacks = new Set<() => void>();
  const timers: Timer[] = [];
  let isCut = false;
  let onAbort: () => void = () => undefined;

  const cutNow = (): void => {
    isCut = true;
    for (const callback of callbacks) callback();
    callbacks.clear();
  };
  const overdue = new Promise<void>((resolve) => {
    onAbort = () => {
      timers.push(clock.setTimer(drainDeadlineMs, cutNow), clock.setTimer(drainDeadlineMs + drainMarginMs, resolve));
    };
  });
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });

  return {
    life: {
      stop: signal,
      cut: {
        onCut(callback) {
          if (isCut) callback();
          else callbacks.add(callback);
          return () => void callbacks.delete(callback);
        },
      },
    },
    overdue,
    end() {
      signal.removeEventListener("abort", onAbort);
      for (const timer of timers) timer.cancel();
    },
  };
}
