import type { RabbitmqQueue } from "./topology.ts";

/** Which messages a consumer wants. */
export interface TopicQueuesOptions {
  /** The consumer's name, as its inbox has it: each consumer has queues of its own, and so gets every message. */
  readonly consumer: string;
  readonly topics: readonly string[];
  /** As the transport has it: how many queues the messages of a topic are spread over, by key. Default: one, not numbered. */
  readonly partitions?: number;
  /** Default true: each queue has one active consumer at a time, so that messages of a key keep their order. */
  readonly isKeyed?: boolean;
  /** Where messages go that a queue gives up, if it ever does. */
  readonly deadLetter?: RabbitmqQueue["deadLetter"];
}

/**
 * The queues of a consumer, as the transport's default destinations feed them: `consumer.topic`, bound to the exchange named like the
 * topic; with partitions `consumer.topic.0` and so on.
 *
 * A queue has one active consumer, so a topic of n partitions is worked on by n processes at most, in order. The broker makes the first
 * process that comes the active one of all queues: give each process its share – a slice of the answer – and another process the same
 * share as its stand-in.
 */
export function topicQueues(options: TopicQueuesOptions): readonly RabbitmqQueue[] {
  const { consumer, topics, partitions, isKeyed = true, deadLetter } = options;
  const suffixes = partitions === undefined ? [""] : Array.from({ length: partitions }, (_, partition) => `.${partition}`);
  return topics.flatMap((topic) =>
    suffixes.map((suffix) => ({
      name: `${consumer}.${topic}${suffix}`,
      bindings: [{ exchange: topic, routingKey: `${topic}${suffix}` }],
      isKeyed,
      ...(deadLetter === undefined ? {} : { deadLetter }),
    })),
  );
}
