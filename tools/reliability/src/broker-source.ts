/** Where consumers under test take messages from: the product's own source of either broker, in a hurry to notice what goes wrong. */
import type { OnEvent, Source } from "@waybill/core";
import { kafkaSource, parseKafkaUrl } from "@waybill/kafka";
import { rabbitmqSource, topicQueues } from "@waybill/rabbitmq";

export interface BrokerSourceOptions {
  readonly brokerUrl: string;
  readonly topic: string;
  /** Of the queues, or the consumer group. */
  readonly group: string;
  /** Queues of the topic. */
  readonly partitions: number;
  /** Without a heartbeat for so long a process counts as dead. RabbitMQ takes 10 000 at least, and needs up to half as long again to notice. */
  readonly sessionTimeoutMs: number;
  readonly onEvent: OnEvent;
}

/** The queues that `openBrokerSource` takes from on RabbitMQ. */
export const queuesOf = ({ group, topic, partitions }: Pick<BrokerSourceOptions, "group" | "topic" | "partitions">): readonly string[] =>
  Array.from({ length: partitions }, (_, partition) => `${group}.${topic}.${partition}`);

export function openBrokerSource({ brokerUrl, topic, group, partitions, sessionTimeoutMs, onEvent }: BrokerSourceOptions): Source {
  if (brokerUrl.startsWith("kafka:")) {
    const { connection } = parseKafkaUrl(brokerUrl);
    return kafkaSource({
      ...connection,
      groupId: group,
      topics: [topic],
      sessionTimeoutMs,
      heartbeatMs: Math.floor(sessionTimeoutMs / 4),
      rebalanceTimeoutMs: 10_000,
      silenceMs: 10_000,
      onEvent,
    });
  }
  return rabbitmqSource({
    url: brokerUrl,
    queues: topicQueues({ consumer: group, topics: [topic], partitions }),
    heartbeatSeconds: Math.min(10, Math.max(5, Math.floor(sessionTimeoutMs / 2_000))),
    nothingDeliveredMs: 10_000,
    onEvent,
  });
}
