import { type Clock, wait } from "@waybill/core";

/** Lets one who waits go on early. A call that nobody waits for is kept for the next wait: nothing is missed in between. */
export interface WakeUp {
  wake(): void;
  /** Resolves after `afterMs`, when `wake` is called, or when `signal` aborts. */
  wait(afterMs: number, signal: AbortSignal): Promise<void>;
}

export function wakeUp(clock: Clock): WakeUp {
  let isCalled = false;
  let onCall: (() => void) | null = null;
  return {
    wake() {
      isCalled = true;
      onCall?.();
    },
    async wait(afterMs, signal) {
      if (!isCalled) {
        const early = new AbortController();
        const stop = (): void => early.abort();
        onCall = stop;
        signal.addEventListener("abort", stop, { once: true });
        if (!signal.aborted) await wait(clock, afterMs, early.signal);
        signal.removeEventListener("abort", stop);
        onCall = null;
      }
      isCalled = false;
    },
  };
}
