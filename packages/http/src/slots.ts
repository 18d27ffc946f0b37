import type { Clock } from "@waybill/core";

/** A fixed number of places, given out in the order in which they were asked for. */
export interface Slots {
  /** Resolves to true with a slot, which must be given back; to false if none came free in time. */
  take(waitMs: number): Promise<boolean>;
  giveBack(): void;
}

export function slots(clock: Clock, count: number): Slots {
  let free = count;
  const waiting: (() => void)[] = [];
  return {
    take(waitMs) {
      if (free > 0) {
        free -= 1;
        return Promise.resolve(true);
      }
      if (waitMs <= 0) return Promise.resolve(false);
      return new Promise((resolve) => {
        const taken = (): void => {
          timer.cancel();
          resolve(true);
        };
        const timer = clock.setTimer(waitMs, () => {
          waiting.splice(waiting.indexOf(taken), 1);
          resolve(false);
        });
        waiting.push(taken);
      });
    },
    giveBack() {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    },
  };
}
