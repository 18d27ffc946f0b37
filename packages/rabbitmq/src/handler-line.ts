/**
 * Who is with the handler, of all queues of a source, in the order in which they came.
 *
 *     A1 A2 A3 … A100 B1       handlers have places for a few: B1 waits for its place behind those of A, and nobody can see that it does
 *
 * What tells one that waits from one that hangs: whether those who were there before it still come to an end. Those who came later tell
 * nothing; else one that hangs would be hidden by its neighbours for ever.
 */
import type { Clock } from "@waybill/core";

export interface InLine {
  /** Since when nobody who was there before has ended. */
  readonly sinceMs: number;
  leave(): void;
}

export interface HandlerLine {
  enter(): InLine;
}

export function createHandlerLine(clock: Clock): HandlerLine {
  const line = new Set<{ readonly ordinal: number; sinceMs: number }>();
  let entered = 0;
  return {
    enter() {
      entered += 1;
      const place = { ordinal: entered, sinceMs: clock.monotonicMs() };
      line.add(place);
      return {
        get sinceMs() {
          return place.sinceMs;
        },
        leave() {
          line.delete(place);
          const nowMs = clock.monotonicMs();
          for (const other of line) if (other.ordinal > place.ordinal) other.sinceMs = nowMs;
        },
      };
    },
  };
}
