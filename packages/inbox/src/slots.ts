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
  readonly stop: AbortSignal;
  /** Null: it was stopped. */
  readonly resolve: (release: (() => void) | null) => void;
}

export function createSlots(slotsMax: number): Slots {
  let waiting: Waiter[] = [];
  const listened = new Map<AbortSignal, { waiters: number; readonly onStop: () => void }>();
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
      forget(next.stop);
      next.resolve(enter(next.company));
    }
  };
  /** Sends all away that wait for a place under this signal. */
  const stopAll = (stop: AbortSignal): void => {
    listened.delete(stop);
    const stopped = waiting.filter((waiter) => waiter.stop === stop);
    waiting = waiting.filter((waiter) => waiter.stop !== stop);
    for (const { resolve } of stopped) resolve(null);
    startWaiting();
  };
  /** One listener for all that wait under a signal: as many as wait would be taken for a leak. */
  const listen = (stop: AbortSignal): void => {
    const known = listened.get(stop);
    const listening = known ?? { waiters: 0, onStop: () => stopAll(stop) };
    listening.waiters += 1;
    listened.set(stop, listening);
    if (known === undefined) stop.addEventListener("abort", listening.onStop, { once: true });
  };
  const forget = (stop: AbortSignal): void => {
    const listening = listened.get(stop);
    if (listening === undefined) return;
    listening.waiters -= 1;
    if (listening.waiters > 0) return;
    listened.delete(stop);
    stop.removeEventListener("abort", listening.onStop);
  };

  return {
    take(company, stop) {
      if (stop.aborted) return Promise.resolve(null);
      if (waiting.length === 0 && hasPlace(company)) return Promise.resolve(enter(company));
      return new Promise((resolve) => {
        waiting.push({ company, stop, resolve });
        listen(stop);
      });
    },
  };
}
