/**
 * Deliveries that have not come to their end, and for how long: what health goes by. By the monotonic clock, from the first time that a message
 * was delivered to this process; nobody's wall clock is asked.
 *
 *     delivered ──▶ here ──done──▶ gone
 *                    ▲  └──again, after ms──▶ expected ──not back in time──▶ forgotten: it went to another process
 *                    └────delivered again────────┘
 *
 * Memory only, and bounded: what comes when too many are noted is not, for the oldest tell enough.
 */
import type { Clock } from "@waybill/core";
import type { Processed } from "./inbox.ts";

export interface Unhandled {
  delivered(id: string): void;
  ended(id: string, processed: Processed): void;
  /** Deliveries that are here, or expected again. */
  count(): number;
  /** How long ago the oldest of them was delivered first; 0: there is none. */
  oldestMs(): number;
  /** For how long there has been one that is here or overdue, and nothing was done; 0: there is none. A wait that was asked for does not count. */
  stuckMs(): number;
}

/** How much later than it was told to a message may come again before it is somebody else's. */
const graceMs = 60_000;
const notedMax = 10_000;

interface Noted {
  readonly sinceMs: number;
  /** When it was to come again, as its handler or policy asked last; before that, when it came. */
  dueAtMs: number;
  /** Null: it is here. */
  goneAtMs: number | null;
}

/** An attempt that failed waits for as long as its handler or its policy says, and those of its key behind it. Everything else is a disturbance. */
const wasAskedFor = (as: Processed["as"]): boolean => as === "failed" || as === "behindItsKey";

export function createUnhandled(clock: Clock): Unhandled {
  /** In the order in which they were delivered first. */
  const noted = new Map<string, Noted>();
  let doneMs = Number.NEGATIVE_INFINITY;

  /** The oldest that is not forgotten by now. */
  const oldest = (nowMs: number): Noted | null => {
    for (const [id, one] of noted) {
      if (one.goneAtMs === null || nowMs < one.goneAtMs) return one;
      noted.delete(id);
    }
    return null;
  };

  return {
    delivered(id) {
      const known = noted.get(id);
      const nowMs = clock.monotonicMs();
      if (known !== undefined && (known.goneAtMs === null || nowMs < known.goneAtMs)) known.goneAtMs = null;
      else {
        noted.delete(id);
        if (noted.size >= notedMax) oldest(nowMs);
        if (noted.size < notedMax) noted.set(id, { sinceMs: nowMs, dueAtMs: nowMs, goneAtMs: null });
      }
    },
    ended(id, processed) {
      const nowMs = clock.monotonicMs();
      if (processed.kind === "done") {
        doneMs = nowMs;
        noted.delete(id);
        return;
      }
      const known = noted.get(id);
      if (known === undefined) return;
      // A process that stops gets nothing again.
      if (processed.as === "stopped") noted.delete(id);
      else {
        const againAtMs = nowMs + processed.afterMs;
        if (wasAskedFor(processed.as)) known.dueAtMs = againAtMs;
        known.goneAtMs = againAtMs + graceMs;
      }
    },
    count() {
      const nowMs = clock.monotonicMs();
      for (const [id, { goneAtMs }] of noted) if (goneAtMs !== null && nowMs >= goneAtMs) noted.delete(id);
      return noted.size;
    },
    oldestMs() {
      const nowMs = clock.monotonicMs();
      const first = oldest(nowMs);
      return first === null ? 0 : nowMs - first.sinceMs;
    },
    stuckMs() {
      const nowMs = clock.monotonicMs();
      let fromMs = nowMs;
      for (const [id, { dueAtMs, goneAtMs }] of noted) {
        if (goneAtMs !== null && nowMs >= goneAtMs) noted.delete(id);
        else fromMs = Math.min(fromMs, dueAtMs);
      }
      return nowMs - Math.min(nowMs, Math.max(fromMs, doneMs));
    },
  };
}
