/**
 * What the source asks of a Kafka client: the smallest port that both client libraries fit behind.
 *
 *     open ──▶ joined(generation 1) ──▶ resume ──▶ received … ──▶ rebalancing ──▶ joined(generation 2) ──▶ … ──▶ close
 *                       │ every partition rests                                       │ generation 1 is inert now
 *                       └ positions, then resume: nothing is fetched before           └ every partition rests again
 *
 * What was fetched leaves the library at once; its loop goes on fetching other partitions and sending heartbeats, however long we take.
 * Where fetching begins is said by us at every `resume`, and every hand-over says where it began, so that a library that goes elsewhere –
 * back to the beginning, or on with what it fetched for an older generation – is noticed before anything is passed over.
 *
 * Whoever implements it commits nothing by itself, retries no commit, restarts nothing by itself, and keeps no timer or socket after
 * `close`. Positions are those of the next record: one more than the offset of the last.
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
  /** The position that was fetched from: the end of the hand-over before, or that of `resume`, unless the library went elsewhere. */
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
  /** Asks the brokers where each partition stands. Rejects with WAYBILL_TRANSPORT. */
  positions(): Promise<readonly PartitionPosition[]>;
  /** Lets a partition that rests hand over, beginning at `from`. */
  resume(partition: TopicPartition, from: bigint): void;
  /** Sends one commit, at once and once. Rejects with WAYBILL_TRANSPORT if it is not confirmed; it may have taken effect then. */
  commit(offsets: readonly OffsetToCommit[]): Promise<void>;
}

/** What becomes of a hand-over. `rest`: taken, and no more until `resume`. `refused`: as if it had not been fetched; the partition rests. */
export type Reception = "goOn" | "rest" | "refused";

/** Called one after the other, never after `close` was called, never two generations mixed. A throw is a fault of ours. */
export interface ConsumerListener {
  joined(generation: Generation): void;
  /** The group is being shared out again: the generation is still ours for commits, until `joined` or the end. */
  rebalancing(): void;
  received(handover: Handover): Reception;
  /** A broker answered. */
  alive(sign: "fetch" | "heartbeat"): void;
  /**
   * The library has given up, or could not begin, and will do nothing more. Told once; `close` is still to be called. A configuration error
   * means that no attempt will do better.
   */
  crashed(error: WaybillError<"WAYBILL_TRANSPORT" | "WAYBILL_CONFIG_INVALID">): void;
}

/** One consumer object of a library: used once, never restarted. */
export interface OpenConsumer {
  /** Leaves the group and ends the library's work, whatever state it is in. Resolves by the deadline; never rejects. */
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
   * Begins to connect and to join; that neither succeeds is told as a crash. A group without a committed position reads from the beginning.
   * Topics are not created.
   */
  open(group: ConsumerGroupOptions, listener: ConsumerListener): OpenConsumer;
}
