/**
 * What the source asks of a Kafka client: the smallest port that both client libraries fit behind.
 *
 *     open ──▶ joined(generation 1) ──▶ resume ──▶ received … ──▶ rebalancing ──▶ joined(generation 2) ──▶ … ──▶ close
 *                       │ every partition rests                                       │ generation 1 is inert now
 *                       └ positions, then resume: nothing is fetched before           └ every partition rests again
 *
 * A partition rests in a new generation and after each hand-over, until it is resumed: what was fetched leaves the library at once, and
 * its loop goes on fetching other partitions and sending heartbeats, however long we take.
 *
 * Whoever implements it commits nothing by itself, retries no commit, restarts nothing by itself, and keeps no timer or socket after
 * `close`. Offsets are positions: "next" is the offset after the last one.
 */
import type { WaybillError } from "@waybill/core";

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** One record as it lay in the log. */
export interface ConsumedRecord {
  readonly offset: bigint;
  readonly key: Uint8Array | null;
  /** null: a tombstone. */
  readonly value: Uint8Array | null;
  /** In their order, names may repeat. A value may be null or any bytes: producers may be strangers. */
  readonly headers: readonly (readonly [name: string, value: Uint8Array | null])[];
  /** Milliseconds since 1970, by the producer's or the broker's clock as the topic says. */
  readonly timestampMs: number;
}

/** Records of one partition, in order. */
export interface Handover extends TopicPartition {
  /** The offset that was asked for: the end of the hand-over before, unless the library was sent elsewhere by the broker. */
  readonly from: bigint;
  /** Where fetching goes on. Beyond the last record where the broker keeps marks of its own or has compacted. */
  readonly next: bigint;
  /** Empty where the log holds nothing for us between `from` and `next`. */
  readonly records: readonly ConsumedRecord[];
}

/** Where a partition stands. */
export interface PartitionPosition extends TopicPartition {
  /** The group's committed position; null: none. */
  readonly committed: bigint | null;
  /** The first offset that is still there. */
  readonly low: bigint;
  /** The end of what a consumer can read now. */
  readonly high: bigint;
}

export interface OffsetToCommit extends TopicPartition {
  readonly next: bigint;
}

/** One assignment of partitions to us. After it, everything here does nothing: `commit` sends nothing and rejects. */
export interface Generation {
  readonly partitions: readonly TopicPartition[];
  /** Asks the brokers. Rejects with WAYBILL_TRANSPORT. */
  positions(): Promise<readonly PartitionPosition[]>;
  /** Lets a partition hand over once more. */
  resume(partition: TopicPartition): void;
  /** Sends one commit, at once and once. Rejects with WAYBILL_TRANSPORT if it is not confirmed; it may have taken effect then. */
  commit(offsets: readonly OffsetToCommit[]): Promise<void>;
}

/** Called synchronously, never after `close` was called, never two generations mixed. */
export interface ConsumerListener {
  joined(generation: Generation): void;
  /** The group is being shared out again: the generation is still ours for commits, until `joined` or the end. */
  rebalancing(): void;
  /** Answers whether the records were taken. If not, the partition hands over the same ones after its next `resume`. */
  received(handover: Handover): boolean;
  /** A broker answered a fetch or a heartbeat. */
  alive(): void;
  /** The library has given up and will do nothing more. Told once; `close` is still to be called. */
  crashed(error: WaybillError<"WAYBILL_TRANSPORT">): void;
}

/** One consumer object of a library: used once, never restarted. */
export interface OpenConsumer {
  /** Leaves the group and ends the library's work. Resolves by the deadline, whatever the library does; never rejects. */
  close(options: { readonly deadlineMs: number }): Promise<void>;
}

export interface ConsumerGroupOptions {
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly heartbeatMs: number;
  /** How long a broker may wait for something to fetch. Less than `heartbeatMs`. */
  readonly fetchWaitMs: number;
  /** Of one partition in one fetch; a record that is larger comes alone. */
  readonly partitionBytesMax: number;
  /** Of all partitions in one fetch. */
  readonly fetchBytesMax: number;
}

export interface ConsumerClient {
  /**
   * Connects, and begins to join. A group without a committed position reads from the beginning.
   *
   * @throws WAYBILL_TRANSPORT, also if a topic does not exist; nothing is left open then
   */
  open(group: ConsumerGroupOptions, listener: ConsumerListener): Promise<OpenConsumer>;
}
