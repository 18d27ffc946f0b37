/**
 * What the transport needs of a Kafka client, and nothing more: the port that `kafkajs/` and `platformatic/` implement.
 *
 *     transport ──send one (topic, partition)──▶ KafkaProducer ──one Produce request──▶ leader
 *                                                     │
 *       stored      the leader answered for exactly this partition: error 0 and an offset
 *       answered    it answered for exactly this partition with an error code; nothing of this send is under way any more
 *       notSent     not one byte of the request left this process, and none will
 *       unanswered  it left, or may have left, and nobody can say what became of it
 *
 * Answers are values; nothing here throws or rejects for the broker's sake, and every call settles by its own deadline, measured by us.
 * What a library gets wrong ends behind this port: whoever implements it keeps these four answers true, and `unanswered` is always
 * true. An implementation retries nothing, buffers nothing between calls, picks no partition, and creates no topic.
 */

/** One record as it goes over the wire. */
export interface KafkaRecord {
  readonly key: Uint8Array | null;
  /** null: a tombstone. */
  readonly value: Uint8Array | null;
  /** Values travel as UTF-8. */
  readonly headers: ReadonlyMap<string, string>;
  /** Milliseconds since 1970, not before. */
  readonly timestampMs: number;
}

/** Records for one partition: one record batch, stored whole or not at all. */
export interface KafkaBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly KafkaRecord[];
}

export interface KafkaSendOptions {
  readonly deadlineMs: number;
  /** Asked synchronously right before the request is written, where it is given. False: it is not written (`notSent`, `leaseLost`). */
  readonly mayWrite?: (() => boolean) | undefined;
}

/** Why a request was not sent. */
export type KafkaNotSentReason =
  /** The caller may not write any more. */
  | "leaseLost"
  /** The producer is closed. */
  | "closed"
  /** The time was used up before the request could be written. */
  | "deadline"
  /** No broker at all could be reached, or TLS failed. */
  | "unreachable"
  /** Brokers were reached, but not the one that leads this partition. */
  | "leaderUnreachable"
  /** The brokers did not take our credentials. */
  | "notAuthenticated"
  /** The client does not know this partition (yet). */
  | "partitionUnknown"
  /** A broker said no before there was anything to write; `code` is its error code: no such topic, no leader, not allowed. */
  | "refused"
  /** The library failed before it wrote, in a way of its own. */
  | "clientFailed";

export type KafkaSendResult =
  | { readonly kind: "stored"; readonly baseOffset: bigint }
  /** `code` as in the Kafka protocol: 10 is MESSAGE_TOO_LARGE. Never 0. */
  | { readonly kind: "answered"; readonly code: number }
  | { readonly kind: "notSent"; readonly reason: KafkaNotSentReason; readonly code: number | null; readonly cause?: unknown }
  /** `code`: an error code that was seen, but may belong to something else than this request. */
  | {
      readonly kind: "unanswered";
      readonly reason: "deadline" | "connectionLost" | "partitionMissing" | "closed" | "ambiguous";
      readonly code: number | null;
      readonly cause?: unknown;
    };

/**
 * A way to the leaders. Connects when it first sends. Sends to different partitions may be under way side by side; the transport has
 * at most one per partition, and none after an answer other than `stored` or `answered`: then it closes this producer and opens
 * another, for a client that met the unexpected may have stale metadata or dead connections for ever.
 */
export interface KafkaProducer {
  send(batch: KafkaBatch, options: KafkaSendOptions): Promise<KafkaSendResult>;
  /**
   * Takes nothing new, waits for sends under way, at most `deadlineMs`, then destroys: connections are closed, what is still under way
   * settles as `unanswered` or `notSent`, and nothing is written any more. `deadlineMs` 0 destroys at once. A second close hastens the first.
   */
  close(options: { readonly deadlineMs: number }): Promise<void>;
}

export type KafkaTopicDescription =
  /** Partitions are numbered from 0 to `partitions` - 1. */
  | { readonly kind: "found"; readonly partitions: number }
  /** A broker said no; `code` as in the protocol: 3 no such topic, 5 a partition without leader, 17 not a valid name, 29 not allowed. */
  | { readonly kind: "refused"; readonly code: number }
  | { readonly kind: "unreachable"; readonly reason: "unreachable" | "notAuthenticated" | "deadline"; readonly cause?: unknown };

export interface KafkaProducerClient {
  /** Asks about a topic over a connection of its own, which teaches no producer the topic and creates none. */
  describeTopic(topic: string, options: { readonly deadlineMs: number }): Promise<KafkaTopicDescription>;
  /** Opens nothing yet. */
  producer(): KafkaProducer;
  /** Closes the connection of `describeTopic`; producers are closed by whoever opened them. */
  close(options: { readonly deadlineMs: number }): Promise<void>;
}

/** Codes of the Kafka protocol that the transport and its clients tell apart, by the protocol's own names. */
export const kafkaErrorCodes = {
  UNKNOWN_SERVER_ERROR: -1,
  CORRUPT_MESSAGE: 2,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  REPLICA_NOT_AVAILABLE: 9,
  MESSAGE_TOO_LARGE: 10,
  INVALID_TOPIC_EXCEPTION: 17,
  RECORD_LIST_TOO_LARGE: 18,
  NOT_ENOUGH_REPLICAS: 19,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  TOPIC_AUTHORIZATION_FAILED: 29,
  CLUSTER_AUTHORIZATION_FAILED: 31,
  INVALID_TIMESTAMP: 32,
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 43,
  POLICY_VIOLATION: 44,
  KAFKA_STORAGE_ERROR: 56,
  LISTENER_NOT_FOUND: 72,
  FENCED_LEADER_EPOCH: 74,
  UNKNOWN_LEADER_EPOCH: 75,
  UNSUPPORTED_COMPRESSION_TYPE: 76,
  INVALID_RECORD: 87,
} as const;
