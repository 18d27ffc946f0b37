/**
 * Time as a port: the only file of the libraries that touches the real clock and the real timers.
 *
 * Engines decide by `monotonicMs`, which no clock jump moves. `wallMs` is for what leaves the process and needs a date, such as
 * the timestamp of a signature. What is compared with a row – leases, due times, retention – is compared by the database, on its clock.
 */

/** A timer that was set. Cancelling twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since some fixed moment; never jumps, never goes back. */
  monotonicMs(): number;
  /** Milliseconds since 1970 by the host's clock, which may jump. */
  wallMs(): number;
  /** Calls `callback` once, after at least `afterMs`. Waits longer than 24 days are cut to 24 days. */
  setTimer(afterMs: number, callback: () => void): Timer;
}

/** A longer `setTimeout` overflows its 32 bits and fires after one millisecond. */
const timerMsMax = 2 ** 31 - 1;

/** The clock of this host. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(afterMs, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(0, afterMs), timerMsMax));
    return { cancel: () => clearTimeout(timer) };
  },
};

/**
 * Resolves after `afterMs`, or as soon as `signal` aborts: a wait that somebody ends is over, not failed.
 * Answers whether the whole time passed.
 */
export function wait(clock: Clock, afterMs: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted === true) return Promise.resolve(false);
  return new Promise((resolve) => {
    const onAbort = (): void => {
      timer.cancel();
      resolve(false);
    };
    const timer = clock.setTimer(afterMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve(true);
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** What became of a promise that was given a deadline. `late` says nothing about whether its work took effect. */
export type Deadlined<T> = { readonly kind: "settled"; readonly value: T } | { readonly kind: "late" };

/**
 * Waits for `promise`, but no longer than `deadlineMs`. A rejection in time is passed on; one that comes later is swallowed,
 * for whoever gave up waiting has already treated the result as unknown.
 */
export function withDeadline<T>(clock: Clock, deadlineMs: number, promise: Promise<T>): Promise<Deadlined<T>> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(deadlineMs, () => resolve({ kind: "late" }));
    promise.then(
      (value) => {
        timer.cancel();
        resolve({ kind: "settled", value });
      },
      (error: unknown) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}
