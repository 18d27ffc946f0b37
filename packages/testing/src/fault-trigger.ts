import { seededRandom } from "./seeded-random.ts";
import { waitUntil } from "./wait-until.ts";

/** When a fault fires, of the occasions that fit it. */
export interface FaultTrigger {
  /** How many occasions pass unharmed first. Default 0. */
  readonly skip?: number;
  /** How often it fires at most. Default 1. */
  readonly times?: number;
  /** The chance that an occasion fires, decided by `seed`. Default 1: always. */
  readonly probability?: number;
  /** Default 0. */
  readonly seed?: number;
}

/** A fault that is in place. */
export interface InjectedFault {
  /** How often it has fired. A test whose fault never fired proves nothing. */
  readonly fired: number;
  /** Takes it away. What it has done already stays done. */
  lift(): void;
  /** Resolves when it has fired `times` times (default 1); rejects after `deadlineMs` (default 10 000). */
  hasFired(times?: number, deadlineMs?: number): Promise<void>;
}

/** The decisions of a trigger, one occasion after the other. */
export interface TriggerState {
  /** Whether this occasion fires. One that does is taken: two callers cannot both have the last of `times`. */
  take(): boolean;
}

export function startTrigger({ skip = 0, times = 1, probability = 1, seed = 0 }: FaultTrigger): TriggerState {
  const random = seededRandom(seed);
  let skipped = 0;
  let taken = 0;
  return {
    take() {
      if (taken >= times) return false;
      if (skipped < skip) {
        skipped += 1;
        return false;
      }
      if (random.fraction() >= probability) return false;
      taken += 1;
      return true;
    },
  };
}

/** The handle of a fault that counts in `counter` and is taken away by `lift`. */
export function injectedFault(name: string, counter: { readonly fired: number }, lift: () => void): InjectedFault {
  return {
    get fired() {
      return counter.fired;
    },
    lift,
    async hasFired(times = 1, deadlineMs = 10_000) {
      await waitUntil(() => counter.fired >= times, { what: `the fault ${name} has fired ${times} times`, deadlineMs, intervalMs: 2 });
    },
  };
}
