/**
 * How many half messages of a producer may be undecided. A brake, not a balance: each replica counts the rows every few seconds and adds
 * what it stores itself meanwhile, so that several of them may let a little more in than one would.
 */
import type { Clock } from "@waybill/core";

export interface Quota {
  /** True: one more may be stored; it is counted already. */
  admit(producer: string): Promise<boolean>;
  /** What was admitted was not stored, or a half message was decided. */
  release(producer: string): void;
}

export interface QuotaOptions {
  readonly clock: Clock;
  readonly quotaOf: (producer: string) => number;
  /** Counts a producer's undecided rows, to `max`. */
  readonly count: (producer: string, max: number) => Promise<number>;
}

/** How old a count may be. */
const recountMs = 5_000;

interface Count {
  undecided: number;
  countedAtMs: number;
  counting: Promise<void> | null;
}

export function createQuota({ clock, quotaOf, count }: QuotaOptions): Quota {
  const counts = new Map<string, Count>();
  const countOf = (producer: string): Count => {
    const known = counts.get(producer) ?? { undecided: 0, countedAtMs: Number.NEGATIVE_INFINITY, counting: null };
    counts.set(producer, known);
    return known;
  };

  const recount = async (producer: string, known: Count): Promise<void> => {
    const before = known.undecided;
    const atMs = clock.monotonicMs();
    const rows = await count(producer, quotaOf(producer) * 2);
    // What was admitted while we counted may or may not be among the rows: it is added, on the safe side.
    known.undecided = rows + Math.max(0, known.undecided - before);
    known.countedAtMs = atMs;
  };

  return {
    async admit(producer) {
      const known = countOf(producer);
      if (clock.monotonicMs() - known.countedAtMs >= recountMs) {
        known.counting ??= recount(producer, known).finally(() => {
          known.counting = null;
        });
        // Whoever has no count at all waits for one; an old one serves until there is another.
        if (known.countedAtMs === Number.NEGATIVE_INFINITY) await known.counting;
        else known.counting.catch(() => undefined);
      }
      if (known.undecided >= quotaOf(producer)) return false;
      known.undecided += 1;
      return true;
    },
    release(producer) {
      const known = countOf(producer);
      known.undecided = Math.max(0, known.undecided - 1);
    },
  };
}
