/**
 * Publishes messages of many keys through a transport the way a relay does: keys side by side, each in its order, what is not confirmed
 * again and first of its key. Stops at nothing; what it saw is compared with the log afterwards.
 */
import type { OutgoingMessage, PublishOutcome, Transport } from "@waybill/core";
import { messagesOf } from "./sample-messages.ts";

export interface DriverReport {
  /** By key, in the order in which they were made. */
  readonly made: ReadonlyMap<string, readonly string[]>;
  readonly confirmed: ReadonlySet<string>;
  readonly calls: number;
  readonly unknown: number;
  readonly retries: number;
  readonly rejected: number;
  readonly longestCallMs: number;
}

export interface RelayLikeDriver {
  /** How many were confirmed so far. */
  readonly confirmed: number;
  /** How many outcomes were not `confirmed` so far. */
  readonly failures: number;
  /** Makes nothing new, publishes what is left, and reports. */
  drain(): Promise<DriverReport>;
}

export interface DriverOptions {
  readonly transport: Transport;
  readonly topic: string;
  readonly keys: number;
  /** Calls under way at once, each with keys of its own. */
  readonly lanes: number;
  readonly callDeadlineMs: number;
  /** Between calls of a lane: keeps the campaign's log within what can be read back. */
  readonly pauseMs: number;
}

const perKey = 4;

export function startRelayLikeDriver({ transport, topic, keys, lanes, callDeadlineMs, pauseMs }: DriverOptions): RelayLikeDriver {
  const make = messagesOf(topic);
  const made = new Map<string, string[]>();
  const confirmed = new Set<string>();
  let isDraining = false;
  let calls = 0;
  let unknown = 0;
  let retries = 0;
  let rejected = 0;
  let longestCallMs = 0;

  const runLane = async (lane: number): Promise<void> => {
    const queues = new Map<string, OutgoingMessage[]>();
    for (let key = lane; key < keys; key += lanes) queues.set(`key ${key}`, []);
    for (;;) {
      for (const [key, queue] of queues) {
        while (!isDraining && queue.length < perKey) {
          const message = make({ key });
          queue.push(message);
          made.set(key, [...(made.get(key) ?? []), message.id]);
        }
      }
      const batch = [...queues.values()].flatMap((queue) => queue.slice(0, perKey));
      if (batch.length === 0) return;
      const startedAt = performance.now();
      const outcomes = await transport.publish(batch, { deadlineMs: callDeadlineMs });
      longestCallMs = Math.max(longestCallMs, performance.now() - startedAt);
      calls += 1;
      const failed = settle(queues, batch, outcomes);
      await new Promise((resolve) => setTimeout(resolve, failed ? 50 : pauseMs));
    }
  };

  /** Takes the confirmed beginning of each key off its queue. */
  const settle = (
    queues: Map<string, OutgoingMessage[]>,
    batch: readonly OutgoingMessage[],
    outcomes: readonly PublishOutcome[],
  ): boolean => {
    const stopped = new Set<string>();
    for (const [index, message] of batch.entries()) {
      const key = message.key ?? "";
      const kind = outcomes[index]?.kind;
      if (kind === "confirmed" && !stopped.has(key)) {
        queues.get(key)?.shift();
        confirmed.add(message.id);
        continue;
      }
      if (!stopped.has(key)) {
        if (kind === "unknown") unknown += 1;
        else if (kind === "rejected") rejected += 1;
        else retries += 1;
      }
      stopped.add(key);
    }
    return stopped.size > 0;
  };

  const running = Promise.all(Array.from({ length: lanes }, (_, lane) => runLane(lane)));
  running.catch(() => undefined); // told by `drain`
  return {
    get confirmed() {
      return confirmed.size;
    },
    get failures() {
      return unknown + retries + rejected;
    },
    async drain() {
      isDraining = true;
      await running;
      return { made, confirmed, calls, unknown, retries, rejected, longestCallMs };
    },
  };
}
