/** What transports and sources report of their connections: HTTP, RabbitMQ, Kafka. */
export type HttpEvent =
  | { readonly name: "http.refused"; readonly status: number; readonly reason: string }
  | { readonly name: "http.destinationGone"; readonly topic: string }
  | { readonly name: "http.breakerOpened"; readonly topic: string }
  | { readonly name: "http.breakerClosed"; readonly topic: string }
  /** Of `alertHook`: its receiver has taken an alert, after so many calls. */
  | { readonly name: "http.alertTold"; readonly kind: string; readonly subject: string; readonly attempts: number }
  /** An alert that the hook could not tell: called often enough in vain, too many waited, or it was closed. */
  | {
      readonly name: "http.alertNotTold";
      readonly kind: string;
      readonly subject: string;
      readonly attempts: number;
      readonly reason: string;
    };

/** Whose connection to RabbitMQ it is, and the broker as `host:port/vhost`. */
interface OfRabbitmq {
  readonly role: "transport" | "source";
  readonly broker: string;
}

export type RabbitmqEvent = OfRabbitmq &
  (
    | { readonly name: "rabbitmq.connected"; readonly version: string | null }
    /** An attempt to connect failed; the next begins after `afterMs`. */
    | { readonly name: "rabbitmq.connectFailed"; readonly reason: string; readonly brokerCode: string | null; readonly afterMs: number }
    /** The connection ended; what was not confirmed is unknown. */
    | { readonly name: "rabbitmq.lost"; readonly reason: string; readonly brokerCode: string | null; readonly afterMs: number }
    /** An alarm of the broker's, memory or disk: it takes nothing that is published. `reason` is its own word. */
    | { readonly name: "rabbitmq.blocked"; readonly reason: string }
    | { readonly name: "rabbitmq.unblocked"; readonly durationMs: number }
    /** A message found no queue and came back: it is not stored and waits for a binding. */
    | { readonly name: "rabbitmq.returned"; readonly exchange: string; readonly messageId: string; readonly brokerCode: string }
    /** The broker closed the channel of one exchange; `unsettled` messages on it are published again, one at a time. */
    | {
        readonly name: "rabbitmq.channelClosed";
        readonly exchange: string;
        readonly reason: string;
        readonly brokerCode: string | null;
        readonly unsettled: number;
      }
    /** Published one at a time, a message closed the channel again: it is the one that the broker does not take. */
    | { readonly name: "rabbitmq.culpritFound"; readonly exchange: string; readonly messageId: string; readonly brokerCode: string | null }
    /** Something about an exchange or queue that loses or hides messages; `rule` says what. */
    | { readonly name: "rabbitmq.topologyRisky"; readonly what: "exchange" | "queue"; readonly object: string; readonly rule: string }
  );

export type KafkaEvent =
  /** Keys may go elsewhere from now on: their order across this moment is not promised. */
  | { readonly name: "kafka.partitionsChanged"; readonly topic: string; readonly from: number; readonly to: number }
  /** A send ended in something unexpected; the next one goes over another producer. `code`: Kafka's, if one was seen. */
  | { readonly name: "kafka.producerReplaced"; readonly topic: string; readonly reason: string; readonly code: number | null };

/** Whose event it is: a source, and where it takes messages from. `group`: the consumer group; of RabbitMQ, the queue. */
interface OfSource {
  readonly system: "kafka" | "rabbitmq";
  readonly group: string;
}

export type SourceEvent = OfSource &
  /** What is ours from now on; everything of before is forgotten. */
  (
    | { readonly name: "source.joined"; readonly partitions: number }
    /** The group is shared out again: nothing new is handed over until the next `joined`. */
    | { readonly name: "source.rebalancing" }
    /**
     * Messages are gone that this group has not read: they expired before (`low` > `committed`), or the log is shorter than it was, truncated
     * or made anew (`high` < `committed`). It goes on with what there is.
     */
    | {
        readonly name: "source.gapFound";
        readonly topic: string;
        readonly partition: number;
        readonly committed: bigint;
        readonly low: bigint;
        readonly high: bigint;
      }
    /** What was settled is not known to the broker as settled: it may deliver it again. Tried again by itself. */
    | { readonly name: "source.commitFailed"; readonly reason: string }
    /** It makes no progress, or its client has given up: it starts anew after `afterMs`. `attempt` counts those without progress in between. */
    | { readonly name: "source.rebuilding"; readonly reason: string; readonly attempt: number; readonly afterMs: number }
    /** The first settlement after a rebuild. */
    | { readonly name: "source.recovered" }
    /**
     * The broker took back what was not settled within its own time: `unsettled` deliveries, the oldest with us for `heldMs`. They come
     * again. A handler takes too long for that broker, or many slow messages share a key.
     */
    | { readonly name: "source.consumerTimedOut"; readonly unsettled: number; readonly heldMs: number; readonly afterMs: number }
    /** A message was delivered so often that its broker will delete it at `limit`; before that it becomes a dead letter of the inbox. */
    | { readonly name: "source.redeliveredOften"; readonly messageId: string; readonly deliveries: number; readonly limit: number }
    /** The messages held together were too large: so many are taken at once from now on. */
    | { readonly name: "source.prefetchReduced"; readonly prefetch: number }
    /** How many messages the broker has that the group has not settled, as far as one can tell: those that are with us among them. */
    | { readonly name: "source.lagMeasured"; readonly messages: number }
    | { readonly name: "source.stopped" }
  );
