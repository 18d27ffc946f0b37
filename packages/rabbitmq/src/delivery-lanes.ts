/**
 * Deliveries on their way to the handler, one of a key at a time.
 *
 *     taken ──▶ waiting ──its turn──▶ with the handler ──done──▶ gone, the next of its key has its turn
 *                  ▲                        │
 *                  └──── again, after ms ───┘    it stays the first of its key: nothing of the key passes it
 *
 * Lanes outlive channels. When a channel is lost, what waits is forgotten – the broker delivers it again – but what is with the handler
 * keeps its lane until the handler has ended, so that its own repetition on the next channel waits for it.
 *
 * Each delivery is a call of its own: a slow one holds up no settlement but its own, and its key.
 */
import { type Clock, type Delivery, type HandleDeliveries, type Settlement, type Timer, wait } from "@waybill/core";
import type { HandlerLine, InLine } from "./handler-line.ts";

/** A delivery that is held here. */
export interface HeldDelivery {
  readonly delivery: Delivery;
  /** What shares it is handed over in order; null: it waits for nothing. */
  readonly lane: string | null;
  /** False once its channel is gone: a settlement means nothing any more. */
  readonly isCurrent: () => boolean;
  /** Told each settlement of a current one. */
  readonly onSettled: (settlement: Settlement) => void;
  /** Told once, when nothing here refers to it any more. */
  readonly onGone: () => void;
}

export interface DeliveryLanes {
  /** How many are with the handler. */
  readonly out: number;
  /** Since when none of them has ended, nor anybody who came to the handler before the first of them; null: none is there. */
  readonly quietSinceMs: number | null;
  add(held: HeldDelivery): void;
  /** Lets go of what is not current any more, as far as it is not with the handler. */
  forget(): void;
  /** Hands over nothing more. Resolves when nothing is with the handler any more, or at the deadline: true, if all have ended. */
  stop(deadlineMs: number): Promise<boolean>;
}

/** When a delivery comes again whose handler rejected, which the inbox's never does. */
const rejectedAfterMs = 1_000;

interface Place {
  readonly held: HeldDelivery;
  /** null: it is not with the handler. */
  inLine: InLine | null;
  /** The wait of a delivery that comes again. */
  timer: Timer | null;
  isRepeat: boolean;
}

export function createDeliveryLanes(handle: HandleDeliveries, clock: Clock, line: HandlerLine): DeliveryLanes {
  /** By lane, in the order of delivery; those without a lane are each alone. */
  const lanes = new Map<string, Place[]>();
  const alone = new Set<Place>();
  const onQuiet = new AbortController();
  /** Those with the handler, in the order in which they came there. */
  const out = new Set<InLine>();
  let lastEndMs = Number.NEGATIVE_INFINITY;
  let isStopped = false;

  const leave = (place: Place): void => {
    const { lane } = place.held;
    place.timer?.cancel();
    if (lane === null) alone.delete(place);
    else {
      const places = lanes.get(lane) ?? [];
      places.splice(places.indexOf(place), 1);
      if (places.length === 0) lanes.delete(lane);
    }
    place.held.onGone();
  };

  const next = (lane: string | null): void => {
    const first = lane === null ? undefined : lanes.get(lane)?.[0];
    if (first !== undefined && first.inLine === null && first.timer === null) handOver(first);
  };

  const handOver = (place: Place): void => {
    if (isStopped) return;
    if (!place.held.isCurrent()) {
      leave(place);
      return next(place.held.lane);
    }
    const inLine = line.enter();
    place.inLine = inLine;
    out.add(inLine);
    const { delivery } = place.held;
    const handed = place.isRepeat ? { ...delivery, redelivered: true } : delivery;
    answerOf(handle, handed).then(
      (settlement) => settle(place, inLine, settlement),
      () => undefined, // it never rejects
    );
  };

  const settle = (place: Place, inLine: InLine, settlement: Settlement): void => {
    const { held } = place;
    place.inLine = null;
    out.delete(inLine);
    inLine.leave();
    lastEndMs = clock.monotonicMs();
    const isCurrent = held.isCurrent();
    if (isCurrent) held.onSettled(settlement);
    if (!isCurrent || settlement.kind === "done") {
      leave(place);
      next(held.lane);
    } else {
      place.isRepeat = true;
      if (!isStopped) {
        place.timer = clock.setTimer(settlement.afterMs, () => {
          place.timer = null;
          handOver(place);
        });
      }
    }
    if (isStopped && out.size === 0) onQuiet.abort();
  };

  return {
    get out() {
      return out.size;
    },
    get quietSinceMs() {
      const [first] = out;
      return first === undefined ? null : Math.max(lastEndMs, first.sinceMs);
    },
    add(held) {
      const place: Place = { held, inLine: null, timer: null, isRepeat: false };
      if (held.lane === null) {
        alone.add(place);
        handOver(place);
        return;
      }
      const places = lanes.get(held.lane);
      if (places === undefined) lanes.set(held.lane, [place]);
      else places.push(place);
      next(held.lane);
    },
    forget() {
      for (const place of [...alone, ...[...lanes.values()].flat()]) {
        if (place.inLine === null && !place.held.isCurrent()) leave(place);
      }
      // Whoever stood behind something forgotten is first now.
      for (const lane of lanes.keys()) next(lane);
    },
    async stop(deadlineMs) {
      isStopped = true;
      for (const place of [...alone, ...[...lanes.values()].flat()]) place.timer?.cancel();
      if (out.size > 0) await wait(clock, deadlineMs, onQuiet.signal);
      return out.size === 0;
    },
  };
}

/** A rejection, or an answer that is none, settles nothing: it comes again. */
async function answerOf(handle: HandleDeliveries, delivery: Delivery): Promise<Settlement> {
  try {
    const [settlement] = await handle([delivery]);
    return settlement ?? { kind: "again", afterMs: rejectedAfterMs };
  } catch {
    return { kind: "again", afterMs: rejectedAfterMs };
  }
}
