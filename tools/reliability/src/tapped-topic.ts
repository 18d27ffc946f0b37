/** A topic of the run's own at its broker, and all that it gets. */
import { type Received, type Tap, tapKafka, tapRabbitmq } from "@waybill/auditor";
import { type BrokerTopics, openBrokerTopics } from "@waybill/testing";
import { queuesOf } from "./broker-source.ts";
import type { Rig } from "./rig.ts";

export interface TappedTopicOptions {
  /** Default 2; queues on RabbitMQ, where there are groups. */
  readonly partitions?: number;
  /** Consumer groups, whose messages may wait and whose queues are removed. Default: none. */
  readonly groups?: readonly string[];
  readonly onReceived?: (one: Received) => void;
}

export interface TappedTopic extends Pick<BrokerTopics, "waiting">, Pick<Tap, "received" | "readToEnd"> {
  /** Nothing more is received. On RabbitMQ its queue is gone, and with it the route. */
  close(): Promise<void>;
}

/** Makes it; it is removed at the end. On RabbitMQ the tap's queue is bound to it from now on. */
export async function openTappedTopic(rig: Rig, topic: string, options: TappedTopicOptions = {}): Promise<TappedTopic> {
  const { broker } = rig.servers;
  const { partitions = 2, groups = [], onReceived = () => undefined } = options;
  const queues = groups.flatMap((group) => queuesOf({ group, topic, partitions }));
  const made = await openBrokerTopics({ url: broker.url, topics: [topic], partitions, queues, groups });
  rig.defer(() => made.remove());
  const tap = await (broker.kind === "kafka"
    ? tapKafka({ subscription: "default", onReceived, brokers: new URL(broker.url).host.split(","), topics: [topic] })
    : tapRabbitmq({ subscription: "default", onReceived, url: broker.url, exchanges: [topic] }));
  rig.defer(() => tap.close());
  return { received: tap.received, readToEnd: () => tap.readToEnd(), close: () => tap.close(), waiting: () => made.waiting() };
}
