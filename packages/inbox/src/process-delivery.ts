/**
 * From deliveries to handlers.
 *
 *     process ──▶ lanes (in line) ──▶ a worker takes what is ready ──▶ one plain message or several: a batch
 *                                       `concurrency` workers     └──▶ everything else: one by one      │
 *                                                                          ▲─────── left by the batch ──┘
 *
 * A worker takes what has arrived and waits for nothing: a lone message has its transaction at once, and what comes while the workers are
 * busy makes the next batches. While several workers are free they share what is there.
 */
import type { Delivery } from "@waybill/core";
import { processedOf, stopped } from "./after-attempt.ts";
import { type Arrival, arrivalOf } from "./arrival.ts";
import { isRepeatPossible } from "./decision.ts";
import { deliveredWay } from "./delivered-way.ts";
import type { Engine } from "./engine.ts";
import { type BatchEnd, handleBatch } from "./handle-batch.ts";
import { handleMessage } from "./handle-message.ts";
import type { Processed } from "./inbox.ts";
import { createLanes, type InLine, laneName } from "./lanes.ts";
import type { Lifecycle } from "./lifecycle.ts";

/** Messages that may wait here for a place or their key. Sources bound themselves; this is for loops that do not. */
const waitingMax = 1_000;

/** What `full` asks for. */
const fullAfterMs = 100;

/** Hands deliveries to the engine. */
export interface Deliveries {
  /** One batch of one source: settlements in the same order. Behind a message that comes again, later ones of its key come again, too. */
  process(batch: readonly Delivery[], life: Lifecycle): Promise<readonly Processed[]>;
}

interface Waiting extends InLine {
  readonly arrival: Arrival;
  readonly redelivered: boolean | null;
  readonly isLastChance: boolean;
  readonly receivedBefore: number;
  readonly life: Lifecycle;
  /** Lane → when to come again, of the messages that were handed over in one call. */
  readonly returned: Map<string, number>;
  /** It was left by a batch, or can be in none. */
  isAlone: boolean;
  readonly resolve: (processed: Processed) => void;
}

export function createDeliveries(engine: Engine): Deliveries {
  const { concurrency, batchMax, batchBytesMax, prefetch } = engine.settings;
  const lanes = createLanes<Waiting>();
  /** Signals of lives that are listened to. */
  const listened = new WeakSet<AbortSignal>();
  let received = 0;
  let unsettled = 0;
  let workers = 0;
  let isStarting = false;

  const mayRepeat = ({ redelivered, receivedBefore, id }: Waiting): boolean =>
    isRepeatPossible({ redelivered, receivedBefore, prefetch, hasFailed: engine.memory.failed.has(id) });
  const isPlain = (item: Waiting): boolean => {
    const { arrival, isAlone, isLastChance } = item;
    const { type } = arrival.message;
    const { registrations, memory } = engine;
    const isShared = registrations.has(type) && !memory.slowTypes.has(type) && !memory.loneTypes.has(type);
    return !isAlone && !isLastChance && arrival.hasUsableId && isShared && !mayRepeat(item);
  };
  /** What goes into one transaction. The first decides. */
  const fits = (item: Waiting, [first]: readonly Waiting[]): boolean =>
    first === undefined || (item.life === first.life && isPlain(first) && isPlain(item));

  const settle = (item: Waiting, processed: Processed): void => {
    if (item.lane !== null && processed.kind === "again") item.returned.set(item.lane, processed.afterMs);
    unsettled -= 1;
    noteEnd(item.id, processed);
    item.resolve(processed);
  };
  const noteEnd = (id: string, processed: Processed): void => {
    engine.unhandled.ended(id, processed);
    if (processed.kind === "done") Object.assign(engine.failures, { code: null, source: null });
  };
  /** When to come again, for a message behind one of its key that does. */
  const behind = ({ lane, returned }: Waiting): Processed | null => {
    const afterMs = lane === null ? undefined : returned.get(lane);
    return afterMs === undefined ? null : { kind: "again", afterMs, as: "behindItsKey" };
  };

  const handleOne = async (item: Waiting): Promise<Processed> => {
    const { arrival, isLastChance, life } = item;
    return processedOf(await handleMessage(engine, arrival, deliveredWay(engine, arrival, isLastChance), life, mayRepeat(item)));
  };
  const handleAll = async (items: readonly Waiting[]): Promise<readonly BatchEnd[]> => {
    const [first] = items;
    if (first === undefined) return [];
    if (items.length === 1) return [await handleOne(first)];
    const arrivals = items.map(({ arrival }) => arrival);
    return handleBatch(engine, arrivals, first.life);
  };

  const work = async (taken: readonly Waiting[]): Promise<void> => {
    const back: Waiting[] = [];
    const runnable = taken.filter((item) => {
      const again = behind(item);
      if (again !== null) settle(item, again);
      return again === null;
    });
    const ends = await handleAll(runnable);
    for (const [place, item] of runnable.entries()) {
      const end = ends[place];
      if (end === undefined || end === "left" || end === "notReached") {
        item.isAlone ||= end !== "notReached";
        back.push(item);
      } else settle(item, end);
    }
    lanes.end(taken, back);
  };

  /** Starts workers for what is ready. */
  const start = (): void => {
    isStarting = false;
    while (workers < concurrency) {
      const share = Math.max(1, Math.ceil(lanes.waiting / (concurrency - workers)));
      const taken = lanes.take({ itemsMax: Math.min(batchMax, share), bytesMax: batchBytesMax }, fits);
      if (taken.length === 0) return;
      workers += 1;
      const leave = (): void => {
        workers -= 1;
        start();
      };
      work(taken).then(leave, leave);
    }
  };
  /** Once whoever else hands messages over in this moment has done so: they may go together. */
  const startSoon = (): void => {
    if (isStarting) return;
    isStarting = true;
    queueMicrotask(start);
  };
  /** Sends away what waits, without a worker. */
  const dismiss = (stop: AbortSignal): void => {
    for (;;) {
      const taken = lanes.take({ itemsMax: waitingMax, bytesMax: Number.POSITIVE_INFINITY }, ({ life }) => life.stop === stop);
      if (taken.length === 0) return;
      for (const item of taken) settle(item, stopped);
      lanes.end(taken, []);
    }
  };
  const listenTo = (stop: AbortSignal): void => {
    if (listened.has(stop)) return;
    listened.add(stop);
    stop.addEventListener("abort", () => dismiss(stop), { once: true });
  };

  const processOne = (delivery: Delivery, life: Lifecycle, returned: Map<string, number>): Promise<Processed> => {
    const { message, redelivered, isLastChance = false } = delivery;
    if (engine.ignored.has(message.type)) {
      engine.report({ name: "inbox.ignored", messageId: message.id, type: message.type });
      return Promise.resolve({ kind: "done", as: "ignored" });
    }
    const receivedBefore = received;
    received += 1;
    const arrival = arrivalOf(message);
    const lane = arrival.lane === null ? null : laneName(arrival.lane);
    engine.unhandled.delivered(arrival.id);
    // What comes after it in this call finds no room either, and what is in line before it must not come again because of it.
    if (unsettled >= waitingMax) {
      const full: Processed = { kind: "again", afterMs: fullAfterMs, as: "full" };
      noteEnd(arrival.id, full);
      return Promise.resolve(full);
    }
    unsettled += 1;
    return new Promise((resolve) => {
      const { id } = arrival;
      const bytes = bytesOf(arrival);
      lanes.add({ lane, id, bytes, arrival, redelivered, isLastChance, receivedBefore, life, returned, isAlone: false, resolve });
    });
  };

  return {
    async process(batch, life) {
      engine.report({ name: "inbox.received", messages: batch.length });
      const returned = new Map<string, number>();
      const processing = batch.map((delivery) => processOne(delivery, life, returned));
      if (life.stop.aborted) dismiss(life.stop);
      else listenTo(life.stop);
      startSoon();
      const processed = await Promise.all(processing);
      engine.report({ name: "inbox.settling", messages: batch.length });
      return processed;
    },
  };
}

/** About what a message takes of our memory. */
function bytesOf({ message: { payload, key, headers } }: Arrival): number {
  let bytes = (payload?.byteLength ?? 0) + (key?.length ?? 0);
  for (const [name, value] of headers) bytes += name.length + value.length;
  return bytes;
}
