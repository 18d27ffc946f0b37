import type { Delivery } from "@waybill/core";
import { arrivalOf } from "./arrival.ts";
import { isRepeatPossible } from "./decision.ts";
import { deliveredWay } from "./delivered-way.ts";
import type { Engine } from "./engine.ts";
import { handleMessage } from "./handle-message.ts";
import type { Processed } from "./inbox.ts";
import { laneName } from "./lanes.ts";
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

export function createDeliveries(engine: Engine): Deliveries {
  let received = 0;
  let waiting = 0;

  const processOne = async (delivery: Delivery, life: Lifecycle, returned: Map<string, number>): Promise<Processed> => {
    const { message, redelivered, isLastChance = false } = delivery;
    if (engine.ignored.has(message.type)) {
      engine.report({ name: "inbox.ignored", messageId: message.id, type: message.type });
      return { kind: "done", as: "ignored" };
    }
    const receivedBefore = received;
    received += 1;
    const arrival = arrivalOf(message);
    const lane = arrival.lane === null ? null : laneName(arrival.lane);
    const comeAgain = (processed: Processed): Processed => {
      if (lane !== null && processed.kind === "again") returned.set(lane, processed.afterMs);
      return processed;
    };
    if (waiting >= waitingMax) return comeAgain({ kind: "again", afterMs: fullAfterMs, as: "full" });

    waiting += 1;
    try {
      return await engine.lanes.run(arrival.lane, async () => {
        const behindMs = lane === null ? undefined : returned.get(lane);
        if (behindMs !== undefined) return { kind: "again", afterMs: behindMs, as: "behindItsKey" };
        // Whoever is in the lane of an id has come through the lane of its key, so the two kinds never wait for each other in a circle.
        const ended = await engine.sameId.run({ topic: "", key: arrival.id }, () => {
          const { prefetch } = engine.settings;
          const hasFailed = engine.memory.failed.has(arrival.id);
          const mayRepeat = isRepeatPossible({ redelivered, receivedBefore, prefetch, hasFailed });
          return handleMessage(engine, arrival, deliveredWay(engine, arrival, isLastChance), life, mayRepeat);
        });
        if (ended.kind === "gone") throw new Error("A delivered message is nobody else's.");
        return comeAgain(ended);
      });
    } finally {
      waiting -= 1;
    }
  };

  return {
    async process(batch, life) {
      engine.report({ name: "inbox.received", messages: batch.length });
      const returned = new Map<string, number>();
      const processed = await Promise.all(batch.map((delivery) => processOne(delivery, life, returned)));
      engine.report({ name: "inbox.settling", messages: batch.length });
      return processed;
    },
  };
}
