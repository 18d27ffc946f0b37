/**
 * Places for handlers: a few at a time, and now and then one alone.
 *
 * A message whose process ended during an earlier attempt may be what ended it. It runs alone, so that the next end is counted against
 * it and not against its neighbours. First come, first served: one that wants to be alone is not overtaken for ever.
 */
export interface Slots {
  /** Waits for a place and answers how to give it back; null if `stop` aborts before. */
  take(company: "shared" | "alone", stop: AbortSignal): Promise<(() => void) | null>;
}

interface Waiter {
  readonly company: "shared" | "alone";
  readonly start: () => void;
}

export function createSlots(slotsMax: number): Slots {
  const waiting: Waiter[] = [];
  let taken = 0;
  let isAlone = false;

  const hasPlace = (company: "shared" | "alone"): boolean => (company === "alone" ? taken === 0 : taken < slotsMax && !isAlone);
  const enter = (company: "shared" | "alone"): (() => void) => {
    taken += 1;
    isAlone = company === "alone";
    let isBack = false;
    return () => {
      if (isBack) return;
      isBack = true;
      taken -= 1;
      isAlone = false;
      startWaiting();
    };
  };
  const startWaiting = (): void => {
    for (let next = waiting[0]; next !== undefined && hasPlace(next.company); next = waiting[0]) {
      waiting.shift();
      next.start();
    }
  };

  return {
    take(company, stop) {
      if (stop.aborted) return Promise.resolve(null);
      if (waiting.length === 0 && hasPlace(company)) return Promise.resolve(enter(company));
      return new Promise((resolve) => {
        const onStop = (): void => {
          waiting.splice(waiting.indexOf(waiter), 1);
          resolve(null);
          startWaiting();
        };
        const start = (): void => {
          stop.removeEventListener("abort", onStop);
          resolve(enter(company));
        };
        const waiter: Waiter = { company, start };
        waiting.push(waiter);
        stop.addEventListener("abort", onStop, { once: true });
      });
    },
  };
}
