/** A topic of the run's own at its broker, and all that it gets. */
import { type Received, type Tap, tapKafka, tapRabbitmq } from "@waybill/auditor";
import { openBrokerTopics } from "@waybill/testing";
import type { Rig } from "./rig.ts";

export interface TappedTopicOptions {
  /** Default 2. */
  readonly partitions?: number;
  readonly onReceived?: (one: Received) => void;
}

/** Makes it; it is removed at the end. */
export async function openTappedTopic(rig: Rig, topic: string, options: TappedTopicOptions = {}): Promise<Tap> {
  const { broker } = rig.servers;
  const { partitions = 2, onReceived = () => undefined } = options;
  const made = await openBrokerTopics({ url: broker.url, topics: [topic], partitions, queues: [] });
  rig.defer(() => made.remove());
  const tap = await (broker.kind === "kafka"
    ? tapKafka({ subscription: "default", onReceived, brokers: new URL(broker.url).host.split(","), topics: [topic] })
    : tapRabbitmq({ subscription: "default", onReceived, url: broker.url, exchanges: [topic] }));
  rig.defer(() => tap.close());
  return tap;
}
