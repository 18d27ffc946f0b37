/**
 * The calls of `handle` that are under way, of all partitions and generations together.
 *
 * Each delivery is a call of its own: its settlement waits for no other, a slow handler holds up its own key and nothing else, and how
 * long a call takes is one handler's time, which is what the watch for stuck handlers goes by. Calls outlive their generation, for a
 * handler cannot be taken back; so their number is bounded here.
 */
import { type Clock, type Delivery, type HandleDeliveries, type Settlement, wait } from "@waybill/core";

export interface HandlerCalls {
  readonly hasRoom: boolean;
  /** Never rejects: a rejection settles nothing, so the delivery comes again. */
  call(delivery: Delivery): Promise<Settlement>;
  /** Says who takes the room that is left by calls whose makers are gone: the session of now. */
  offerRoomTo(taker: () => void): void;
  /** A call has ended, and its maker is gone. */
  offerRoom(): void;
  /** Resolves when none is under way, or at the deadline. */
  quiet(deadlineMs: number): Promise<void>;
}

/** When a delivery comes again whose handler rejected, which the inbox's never does. */
const rejectedAfterMs = 1_000;

export function createHandlerCalls(handle: HandleDeliveries, clock: Clock, inFlightMax: number): HandlerCalls {
  let underWay = 0;
  let taker = (): void => undefined;
  const waiting = new Set<AbortController>();
  const leave = (): void => {
    underWay -= 1;
    if (underWay === 0) for (const quiet of waiting) quiet.abort();
  };
  return {
    get hasRoom() {
      return underWay < inFlightMax;
    },
    async call(delivery) {
      underWay += 1;
      try {
        const [settlement] = await handle([delivery]);
        return settlement ?? { kind: "again", afterMs: rejectedAfterMs };
      } catch {
        return { kind: "again", afterMs: rejectedAfterMs }; // the consumer reports its own errors
      } finally {
        leave();
      }
    },
    offerRoomTo(given) {
      taker = given;
    },
    offerRoom: () => taker(),
    async quiet(deadlineMs) {
      if (underWay === 0) return;
      const quiet = new AbortController();
      waiting.add(quiet);
      await wait(clock, deadlineMs, quiet.signal);
      waiting.delete(quiet);
    },
  };
}
