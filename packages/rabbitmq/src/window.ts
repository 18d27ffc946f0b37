import type { Clock } from "@waybill/core";

/** Places for what is on its way, bounded by count and by bytes, given out in the order in which they were asked for. */
export interface Window {
  readonly count: number;
  /** True with a place, which must be given back; false if there is none, or others wait for one. */
  takeNow(bytes: number): boolean;
  /** The same, after waiting for one; false if none came free in time, or the wait was called off. */
  take(bytes: number, waitMs: number): Promise<boolean>;
  giveBack(bytes: number): void;
  /** Calls off every wait: those who wait learn why elsewhere. */
  callOff(): void;
  /** Looks again, after `countMax` has changed. */
  refresh(): void;
}

export interface WindowLimits {
  /** Asked at each step. */
  countMax(): number;
  /** One message beyond it goes when it is alone. */
  readonly bytesMax: number;
}

interface Waiting {
  readonly bytes: number;
  settle(hasPlace: boolean): void;
}

export function createWindow(clock: Clock, { countMax, bytesMax }: WindowLimits): Window {
  const waiting = new Set<Waiting>();
  let count = 0;
  let bytes = 0;

  const fits = (more: number): boolean => count < countMax() && (count === 0 || bytes + more <= bytesMax);
  const enter = (more: number): void => {
    count += 1;
    bytes += more;
  };
  const refresh = (): void => {
    // Strictly in turn: a large message would never come in past a stream of small ones.
    for (const next of waiting) {
      if (!fits(next.bytes)) return;
      enter(next.bytes);
      next.settle(true);
    }
  };

  const takeNow = (more: number): boolean => {
    if (waiting.size > 0 || !fits(more)) return false;
    enter(more);
    return true;
  };

  return {
    get count() {
      return count;
    },
    takeNow,
    take(more, waitMs) {
      if (takeNow(more)) return Promise.resolve(true);
      if (waitMs <= 0) return Promise.resolve(false);
      return new Promise((resolve) => {
        const entry: Waiting = {
          bytes: more,
          settle(hasPlace) {
            waiting.delete(entry);
            timer.cancel();
            resolve(hasPlace);
          },
        };
        const timer = clock.setTimer(waitMs, () => {
          entry.settle(false);
          refresh(); // a smaller one behind it may fit
        });
        waiting.add(entry);
      });
    },
    giveBack(more) {
      count -= 1;
      bytes -= more;
      refresh();
    },
    callOff() {
      for (const entry of waiting) entry.settle(false);
    },
    refresh,
  };
}
