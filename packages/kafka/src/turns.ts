import type { Clock } from "@waybill/core";

/** One at a time per place, in the order of asking. Who waits gives up at a deadline of their own; nothing is kept of a place nobody uses. */
export interface Turns {
  /** False: the deadline passed before it was our turn. */
  take(place: string, deadlineMs: number): Promise<boolean>;
  giveBack(place: string): void;
}

export function createTurns(clock: Clock): Turns {
  /** Who waits, by place; a place that is here is taken. */
  const waiting = new Map<string, Set<() => void>>();
  return {
    take(place, deadlineMs) {
      const queue = waiting.get(place);
      if (queue === undefined) {
        waiting.set(place, new Set());
        return Promise.resolve(true);
      }
      return new Promise((resolve) => {
        const begin = (): void => {
          timer.cancel();
          resolve(true);
        };
        const timer = clock.setTimer(deadlineMs, () => {
          queue.delete(begin);
          resolve(false);
        });
        queue.add(begin);
      });
    },
    giveBack(place) {
      const queue = waiting.get(place);
      for (const begin of queue ?? []) {
        queue?.delete(begin);
        begin();
        return;
      }
      waiting.delete(place);
    },
  };
}
