/** Where the messages of a topic go: exchange and routing key, from what a caller configures. */
import { type ConfigProblem, type OutgoingMessage, partitionOfKey, topicProblem } from "@waybill/core";

/** Where the messages of one topic go. */
export interface RabbitmqDestination {
  /** Default: named like the topic. */
  readonly exchange?: string;
  /** Default: the topic. */
  readonly routingKey?: string;
  /**
   * With it the routing key ends in `.0` to `.<partitions - 1>`, by the key as Kafka's Java client does it; messages without a key
   * take them in turn. As many queues with one active consumer each scale a topic out and keep the order of its keys. Changing the
   * number moves keys to other queues: let the old ones run empty first. Default: none.
   */
  readonly partitions?: number;
}

export interface Route {
  readonly exchange: string;
  readonly routingKey: string;
}

export interface Destinations {
  /** The exchange of a topic. */
  exchangeOf(topic: string): string;
  routeOf(message: OutgoingMessage): Route;
  /** The exchanges that the configuration names. */
  readonly exchanges: readonly string[];
}

export interface DestinationOptions {
  /** Where single topics go. Every other topic has an exchange of its own name. */
  readonly topics?: Readonly<Record<string, RabbitmqDestination>>;
  /** `partitions` of the topics that are not listed. Default: none. */
  readonly partitions?: number;
}

const partitionsMax = 1_024;
const nameBytesMax = 255;
/** `.1023` is still to be added to a routing key. */
const routingKeyBytesMax = 250;

/** Checks where topics go. What is wrong goes to `problems`. */
export function destinations({ topics = {}, partitions }: DestinationOptions, problems: ConfigProblem[]): Destinations {
  const complain = (option: string, problem: string): void => void problems.push({ option, problem });
  const partitionsRule = `must be a whole number from 1 to ${partitionsMax}`;
  const arePartitions = (count: number | undefined): boolean =>
    count === undefined || (Number.isInteger(count) && count >= 1 && count <= partitionsMax);
  if (!arePartitions(partitions)) complain("partitions", partitionsRule);
  for (const [topic, destination] of Object.entries(topics)) {
    const rule = topicProblem(topic);
    if (rule !== null) complain(`topics.${topic}`, `must be named by ${rule}`);
    if (Buffer.byteLength(destination.exchange ?? "") > nameBytesMax)
      complain(`topics.${topic}.exchange`, `must be at most ${nameBytesMax} bytes`);
    if (Buffer.byteLength(destination.routingKey ?? "") > routingKeyBytesMax)
      complain(`topics.${topic}.routingKey`, `must be at most ${routingKeyBytesMax} bytes`);
    if (!arePartitions(destination.partitions)) complain(`topics.${topic}.partitions`, partitionsRule);
  }

  const byTopic = new Map(Object.entries(topics));
  const exchangeOf = (topic: string): string => byTopic.get(topic)?.exchange ?? topic;
  let turn = 0;
  return {
    exchangeOf,
    routeOf({ topic, key }) {
      const listed = byTopic.get(topic);
      const routingKey = listed?.routingKey ?? topic;
      const count = listed === undefined ? partitions : listed.partitions;
      if (count === undefined) return { exchange: exchangeOf(topic), routingKey };
      turn = (turn + 1) % partitionsMax;
      return { exchange: exchangeOf(topic), routingKey: `${routingKey}.${key === null ? turn % count : partitionOfKey(key, count)}` };
    },
    exchanges: [...new Set(Object.keys(topics).map(exchangeOf))],
  };
}
