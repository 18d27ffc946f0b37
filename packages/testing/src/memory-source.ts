/**
 * A source without a broker: it hands over what a test delivers, and again until it is settled.
 *
 *     deliver ──▶ waiting ──handed over──▶ out ──done──▶ settled
 *                    ▲                      │
 *                    └── again, rejected ───┘   `redelivered` from then on; later messages of its key wait behind it
 *
 * One batch is out at a time, so a settlement can only be for what is out. Like a broker it forgets nothing when a consumer ends: the
 * next `consume` gets what was not settled.
 */
import { type Clock, type Delivery, type ReceivedMessage, type Settlement, type Source, systemClock } from "@waybill/core";

export interface MemorySourceOptions {
  /** Deliveries handed over at once, at most. Default 10. */
  readonly batchMax?: number;
  /** Milliseconds until what a rejected `handle` was given comes again. Default 10. */
  readonly rejectedAfterMs?: number;
  readonly clock?: Clock;
}

export interface MemorySource extends Source {
  /** Puts messages at the end; those of one (topic, key) keep their order. The same message twice is two deliveries. */
  deliver(...messages: readonly ReceivedMessage[]): void;
  /** As `deliver`, for messages that the broker says it delivered before. */
  redeliver(...messages: readonly ReceivedMessage[]): void;
  /** Messages that were settled with `done`, in that order. */
  readonly settled: readonly ReceivedMessage[];
  /** Deliveries that are not settled: waiting or out. */
  readonly unsettled: number;
  /** Batches handed over so far. */
  readonly handovers: number;
  /** Makes the running `consume` reject with `error`, as a source that cannot go on; what is out comes again to the next one. */
  fail(error: Error): void;
}

interface Waiting {
  readonly message: ReceivedMessage;
  redelivered: boolean;
  notBeforeMs: number;
}

/** Makes a source that is fed by a test. */
export function memorySource(options: MemorySourceOptions = {}): MemorySource {
  const { batchMax = 10, rejectedAfterMs = 10, clock = systemClock } = options;
  /** Not settled, in the order of delivery: what is out stays in its place. */
  const waiting: Waiting[] = [];
  const settled: ReceivedMessage[] = [];
  let handovers = 0;
  let wake: () => void = () => undefined;
  let fail: ((error: Error) => void) | null = null;

  const add = (messages: readonly ReceivedMessage[], redelivered: boolean): void => {
    for (const message of messages) waiting.push({ message, redelivered, notBeforeMs: 0 });
    wake();
  };
  /** What may go out now: due, and behind nothing of its key that is not. */
  const takeBatch = (): { readonly batch: readonly Waiting[]; readonly nextMs: number | null } => {
    const nowMs = clock.monotonicMs();
    const heldLanes = new Set<string>();
    const batch: Waiting[] = [];
    let nextMs: number | null = null;
    for (const entry of waiting) {
      if (batch.length === batchMax) break;
      const { topic, key } = entry.message;
      const lane = key === null ? null : `${topic ?? ""}\0${key}`;
      if (lane !== null && heldLanes.has(lane)) continue;
      if (entry.notBeforeMs <= nowMs) {
        batch.push(entry);
        continue;
      }
      if (lane !== null) heldLanes.add(lane);
      nextMs = Math.min(nextMs ?? Number.POSITIVE_INFINITY, entry.notBeforeMs - nowMs);
    }
    return { batch, nextMs };
  };
  const settle = (batch: readonly Waiting[], settlements: readonly Settlement[]): void => {
    for (const [index, entry] of batch.entries()) {
      const settlement = settlements[index];
      if (settlement?.kind === "done") {
        waiting.splice(waiting.indexOf(entry), 1);
        settled.push(entry.message);
      } else {
        entry.redelivered = true;
        entry.notBeforeMs = clock.monotonicMs() + (settlement?.afterMs ?? rejectedAfterMs);
      }
    }
  };
  /** Until something is delivered or due, or the consumer leaves. */
  const waitForWork = (nextMs: number | null, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const timer = nextMs === null ? null : clock.setTimer(nextMs, () => wake());
      wake = () => {
        timer?.cancel();
        signal.removeEventListener("abort", wake);
        wake = () => undefined;
        resolve();
      };
      signal.addEventListener("abort", wake, { once: true });
    });

  return {
    deliver: (...messages) => add(messages, false),
    redeliver: (...messages) => add(messages, true),
    get settled() {
      return settled;
    },
    get unsettled() {
      return waiting.length;
    },
    get handovers() {
      return handovers;
    },
    fail(error) {
      fail?.(error);
      wake();
    },
    async consume(handle, { signal }) {
      if (fail !== null) throw new Error("A memory source has one consumer at a time.");
      const failure: { error: Error | null } = { error: null };
      const failed = new Promise<"failed">((resolve) => {
        fail = (error) => {
          failure.error = error;
          resolve("failed");
        };
      });
      try {
        while (!signal.aborted) {
          if (failure.error !== null) throw failure.error;
          const { batch, nextMs } = takeBatch();
          if (batch.length === 0) {
            await waitForWork(nextMs, signal);
            continue;
          }
          handovers += 1;
          const deliveries = batch.map(({ message, redelivered }): Delivery => ({ message, redelivered }));
          const answer = await Promise.race([answerOf(handle(deliveries), batch.length), failed]);
          // What was out when the source failed is unsettled, whatever the handler comes to say about it later.
          settle(batch, answer === "failed" ? [] : answer);
        }
        if (failure.error !== null) throw failure.error;
      } finally {
        fail = null;
      }
    },
  };
}

/** The settlements, or none if `handle` rejected or answered another number than it was given. */
async function answerOf(handled: Promise<readonly Settlement[]>, count: number): Promise<readonly Settlement[]> {
  try {
    const settlements = await handled;
    return settlements.length === count ? settlements : [];
  } catch {
    return []; // a rejection settles nothing: all come again
  }
}
