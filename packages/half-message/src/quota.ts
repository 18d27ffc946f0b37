/**
 * How many half messages of a producer may be undecided. Each replica counts the rows and adds what it stores itself; what the others are storing it does not
 * see. So a count is good for a few seconds, and for a twentieth of the room it found:
 *
 *     count ─▶ room / 20 may come ─▶ all of them are stored ─▶ count again ─▶ … ─▶ no room: refused
 *
 * However slow the others are, each of them passes the quota by a twentieth of it at most, or by one.
 */
import type { Clock } from "@waybill/core";

export interface Quota {
  /** True: one more may be stored, and `settle` must be called. */
  admit(producer: string): Promise<boolean>;
  /** What was admitted was stored, or it was not. */
  settle(producer: string, isStored: boolean): void;
  /** A half message was decided. */
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
const shareOfRoom = 20;
/** How often one request waits for room that others then take, before it is refused. */
const waitsMax = 100;

interface Count {
  undecided: number;
  /** How many may come before the rows are counted again. */
  left: number;
  /** Admitted, and not settled: among the rows or not. */
  underWay: number;
  admitted: number;
  countedAtMs: number;
  counting: Promise<void> | null;
  /** Who waits until there is room, or nothing is under way so that a count will tell. */
  readonly waiting: (() => void)[];
}

export function createQuota({ clock, quotaOf, count }: QuotaOptions): Quota {
  const counts = new Map<string, Count>();
  const countOf = (producer: string): Count => {
    const never = Number.NEGATIVE_INFINITY;
    const none = { undecided: 0, left: 0, underWay: 0, admitted: 0, countedAtMs: never, counting: null, waiting: [] };
    const known = counts.get(producer) ?? none;
    counts.set(producer, known);
    return known;
  };

  const recount = (producer: string, known: Count): Promise<void> => {
    const quota = quotaOf(producer);
    const atMs = clock.monotonicMs();
    const [underWay, admitted] = [known.underWay, known.admitted];
    known.counting ??= count(producer, quota * 2)
      .then((rows) => {
        // What was under way, or came while we counted, may or may not be among the rows: it is added, on the safe side.
        known.undecided = rows + underWay + (known.admitted - admitted);
        known.left = shareOf(quota - known.undecided);
        known.countedAtMs = atMs;
      })
      .finally(() => {
        known.counting = null;
      });
    return known.counting;
  };

  /** One undecided less. The others, too, may find that room: of what became free no more may come uncounted than of what was. */
  const free = (producer: string, known: Count): void => {
    known.undecided = Math.max(0, known.undecided - 1);
    known.left = Math.min(known.left + 1, shareOf(quotaOf(producer) - known.undecided));
  };

  const wake = (known: Count): void => {
    if (known.left > 0 || known.underWay === 0) for (const go of known.waiting.splice(0)) go();
  };

  return {
    async admit(producer) {
      const known = countOf(producer);
      for (let waits = 0; waits < waitsMax; waits += 1) {
        const isOld = clock.monotonicMs() - known.countedAtMs >= recountMs;
        // An old count serves until there is another, but for what it has no room.
        if (isOld) recount(producer, known).catch(() => undefined);
        if (known.left > 0) {
          known.left -= 1;
          known.undecided += 1;
          known.underWay += 1;
          known.admitted += 1;
          return true;
        }
        if (!isOld && known.undecided >= quotaOf(producer)) return false;
        if (known.underWay > 0) await new Promise<void>((resolve) => known.waiting.push(resolve));
        else await recount(producer, known);
      }
      return false;
    },
    settle(producer, isStored) {
      const known = countOf(producer);
      known.underWay -= 1;
      if (!isStored) free(producer, known);
      wake(known);
    },
    release(producer) {
      const known = countOf(producer);
      free(producer, known);
      wake(known);
    },
  };
}

function shareOf(room: number): number {
  return room <= 0 ? 0 : Math.max(1, Math.floor(room / shareOfRoom));
}
