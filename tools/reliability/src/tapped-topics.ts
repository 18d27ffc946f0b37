/** Topics of a scenario's own at the broker, and everything that they get, together. */
import { randomBytes } from "node:crypto";
import type { Received } from "@waybill/auditor";
import type { Rig } from "./rig.ts";
import { openTappedTopic, type TappedTopic, type TappedTopicOptions } from "./tapped-topic.ts";

export interface TappedTopics {
  /** Names begin so, and nobody else's do. */
  readonly prefix: string;
  /** Of all of them, in order of arrival. */
  readonly received: readonly Received[];
  /** When a message came first, by `performance.now()`. */
  arrivedMs(messageId: string): number | undefined;
  /** Makes the topic `prefix-name`. */
  make(name: string, options?: Omit<TappedTopicOptions, "onReceived">): Promise<TappedTopic & { readonly topic: string }>;
}

export function tapTopics(rig: Rig): TappedTopics {
  const prefix = `reliability-${randomBytes(4).toString("hex")}`;
  const received: Received[] = [];
  const firstMs = new Map<string, number>();
  const onReceived = (one: Received): void => {
    received.push(one);
    if (!firstMs.has(one.messageId)) firstMs.set(one.messageId, performance.now());
  };
  return {
    prefix,
    received,
    arrivedMs: (messageId) => firstMs.get(messageId),
    async make(name, options) {
      const topic = `${prefix}-${name}`;
      return { topic, ...(await openTappedTopic(rig, topic, { ...options, onReceived })) };
    },
  };
}
