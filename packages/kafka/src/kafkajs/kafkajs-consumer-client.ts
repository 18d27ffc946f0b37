/**
 * The consuming half of kafkajs behind our port. What the library does in between, and what is made of it:
 *
 *     GROUP_JOIN ──▶ every partition is paused, at once ──▶ joined          (it keeps paused what was paused before a rebalance, and nothing else)
 *     resume     ──▶ seek to where we say, and resume                       (it would begin at what is committed, or at what it resolved before)
 *     eachBatch  ──▶ received ─▶ resolve the last offset, pause, return     (its loop sends heartbeats between batches only)
 *     commit     ──▶ straight to the offset manager of now                  (its `commitOffsets` retries over a rebalance: old positions, new generation)
 *     CRASH      ──▶ crashed                                                (it would stay up and consume nothing)
 *
 * **Joining without telling.** After a leadership change, or when partitions were added, it joins again in the middle of a fetch, without
 * REBALANCING, while fetches of other brokers are under way. What those bring was fetched for the old generation, from positions whose
 * records are forgotten by now. So no partition is resumed before every broker that was being fetched from at the join has come round once.
 * One that never does is found by the watch for partitions that hand over nothing.
 */
import { isWaybillError, type WaybillError, wait, waybillError, withDeadline } from "@waybill/core";
import type { KafkaConnection } from "../connection-options.ts";
import type {
  ConsumedRecord,
  ConsumerClient,
  ConsumerGroupOptions,
  ConsumerListener,
  Generation,
  OffsetToCommit,
  OpenConsumer,
  PartitionPosition,
  TopicPartition,
} from "../consumer-client.ts";
import type { DriverAdmin, DriverBatchCall, DriverConsumer, DriverConsumerEvents, DriverFetchedMessage } from "./driver.ts";
import { type ClientFailure, failureOf } from "./failure.ts";
import { openLink } from "./link.ts";

export interface KafkajsConsumerClientOptions {
  readonly connection: KafkaConnection;
  /** See `idle-timer.ts`. */
  readonly patchIdleTimer: boolean;
}

/** Little is left to the library: what it cannot mend within two seconds is mended by a new one. */
const retry = { retries: 3, initialRetryTime: 200, maxRetryTime: 1_000, restartOnFailure: () => Promise.resolve(false as const) } as const;

/** New partitions are found so soon; its default is five minutes. */
const metadataMsMax = 60_000;

export function kafkajsConsumerClient(options: KafkajsConsumerClientOptions): ConsumerClient {
  let links = Math.floor(options.connection.random.fraction() * options.connection.brokers.length);
  return { open: (group, listener) => openConsumer(options, group, listener, links++) };
}

/** A generation, and what of it the library does not know. */
interface JoinedGeneration {
  readonly api: Generation;
  /** Where each partition that is being fetched goes on, by name. */
  readonly positions: Map<string, bigint>;
  /** Brokers that are still at what they were asked before the join, and what waits for them. */
  readonly staleNodes: Set<string>;
  readonly resumes: Map<string, readonly [TopicPartition, bigint]>;
}

function openConsumer(
  { connection, patchIdleTimer }: KafkajsConsumerClientOptions,
  group: ConsumerGroupOptions,
  listener: ConsumerListener,
  firstSeed: number,
): OpenConsumer {
  const { clock } = connection;
  const over = new AbortController();
  let consumer: DriverConsumer | null = null;
  let generation: JoinedGeneration | null = null;
  let commit: DriverBatchCall["commitOffsetsIfNecessary"] | null = null;
  /** Brokers that were asked for records and have not come round since. */
  const fetching = new Set<string>();
  let isRebalancing = false;
  let isDone = false;

  const crash = (error: ReturnType<typeof asError>): void => {
    if (isDone) return;
    isDone = true;
    listener.crashed(error);
  };

  const resume = (of: JoinedGeneration, partition: TopicPartition, from: bigint): void => {
    const { topic, partition: number } = partition;
    if (of !== generation || isDone || consumer === null) return;
    if (of.staleNodes.size > 0) {
      of.resumes.set(nameOf(partition), [partition, from]);
      return;
    }
    of.positions.set(nameOf(partition), from);
    consumer.seek({ topic, partition: number, offset: String(from) });
    consumer.resume([{ topic, partitions: [number] }]);
  };
  const rest = (of: JoinedGeneration | null, { topic, partition }: TopicPartition): void => {
    of?.positions.delete(nameOf({ topic, partition }));
    consumer?.pause([{ topic, partitions: [partition] }]);
  };

  const joined = ({ memberAssignment }: DriverConsumerEvents["consumer.group_join"]): void => {
    const partitions = Object.entries(memberAssignment).flatMap(([topic, numbers]) => numbers.map((partition) => ({ topic, partition })));
    consumer?.pause(Object.entries(memberAssignment).map(([topic, numbers]) => ({ topic, partitions: [...numbers] })));
    const made: JoinedGeneration = {
      api: {
        partitions,
        positions: () => positionsOf(partitions),
        resume: (partition, from) => resume(made, partition, from),
        commit: (offsets) => send(made, offsets),
      },
      positions: new Map(),
      staleNodes: new Set(fetching),
      resumes: new Map(),
    };
    generation = made;
    isRebalancing = false;
    listener.joined(made.api);
  };
  const cameRound = (node: string): void => {
    fetching.add(node);
    const of = generation;
    if (of === null || !of.staleNodes.delete(node) || of.staleNodes.size > 0) return;
    for (const [partition, from] of of.resumes.values()) resume(of, partition, from);
    of.resumes.clear();
  };

  const received = ({ batch, resolveOffset }: DriverBatchCall): void => {
    const of = generation;
    const { topic, partition } = batch;
    const last = batch.messages.at(-1);
    if (isDone || of === null || last === undefined || !of.positions.has(nameOf(batch))) return rest(of, batch);
    const next = BigInt(batch.lastOffset()) + 1n;
    const records = batch.messages.map(recordOf);
    const reception = listener.received({ topic, partition, from: BigInt(batch.fetchedOffset), next, records });
    if (of !== generation) return;
    if (reception !== "refused") {
      resolveOffset(last.offset);
      of.positions.set(nameOf(batch), next);
    }
    if (reception !== "goOn") rest(of, batch);
  };
  /** Marks of transactions, and what was compacted away: the library has passed over it by itself. */
  const passedOver = ({ topic, partition, batchSize, lastOffset }: DriverConsumerEvents["consumer.start_batch_process"]): void => {
    const of = generation;
    const from = of?.positions.get(nameOf({ topic, partition }));
    if (batchSize > 0 || of === null || from === undefined || isDone) return;
    const next = BigInt(lastOffset) + 1n;
    if (next <= from) return;
    const reception = listener.received({ topic, partition, from, next, records: [] });
    if (reception !== "refused") of.positions.set(nameOf({ topic, partition }), next);
    if (reception !== "goOn") rest(of, { topic, partition });
  };

  const send = async (of: JoinedGeneration, offsets: readonly OffsetToCommit[]): Promise<void> => {
    // Between the library's change of generation and its telling us lie microtasks only: after a timer both or neither have happened.
    // While it tells us of a rebalance the old generation still stands, and what is sent now is on the wire before it joins again.
    if (!(isRebalancing && of === generation)) await wait(clock, 0);
    if (of !== generation || over.signal.aborted) throw transportError("generationOver", null);
    if (commit === null) return; // nothing was handed over, so there is nothing but marks of the broker to be passed
    const byTopic = new Map<string, { readonly partition: number; readonly offset: string }[]>();
    for (const { topic, partition, next } of offsets) {
      byTopic.set(topic, [...(byTopic.get(topic) ?? []), { partition, offset: String(next) }]);
    }
    try {
      await commit({ topics: [...byTopic].map(([topic, partitions]) => ({ topic, partitions })) });
    } catch (error) {
      throw asError(error);
    }
  };

  /** Over a connection of its own: the consumer's are not to be had, and this is asked seldom. */
  const positionsOf = async (partitions: readonly TopicPartition[]): Promise<readonly PartitionPosition[]> => {
    const closing = new AbortController();
    const link = await openLink<DriverAdmin>({
      connection,
      patchIdleTimer,
      firstSeed: firstSeed + 1,
      leaving: (frame) => frame,
      signal: AbortSignal.any([over.signal, closing.signal]),
      open: (kafka) => kafka.admin({ retry: { retries: 0 } }),
    });
    try {
      if (link.kind !== "linked") throw errorOf(link);
      return await askPositions(link.client, group.groupId, partitions);
    } finally {
      closing.abort();
    }
  };

  const begin = async (): Promise<void> => {
    const link = await openLink<DriverConsumer>({
      connection,
      patchIdleTimer,
      firstSeed,
      leaving: (frame) => frame,
      signal: over.signal,
      open: (kafka) =>
        kafka.consumer({
          groupId: group.groupId,
          sessionTimeout: group.sessionTimeoutMs,
          rebalanceTimeout: group.rebalanceTimeoutMs,
          heartbeatInterval: group.heartbeatMs,
          maxWaitTimeInMs: group.fetchWaitMs,
          maxBytesPerPartition: group.partitionBytesMax,
          maxBytes: group.fetchBytesMax,
          allowAutoTopicCreation: false,
          metadataMaxAge: metadataMsMax,
          retry,
        }),
    });
    if (link.kind !== "linked") throw errorOf(link);
    if (over.signal.aborted) return;
    consumer = link.client;
    listen(consumer);
    await consumer.subscribe({ topics: [...group.topics], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch(call) {
        commit = call.commitOffsetsIfNecessary;
        received(call);
        return Promise.resolve();
      },
    });
  };
  const listen = (to: DriverConsumer): void => {
    to.on("consumer.group_join", ({ payload }) => {
      if (!isDone) joined(payload);
    });
    to.on("consumer.rebalancing", () => {
      fetching.clear(); // it stopped them all before it told us
      if (isDone) return;
      isRebalancing = true;
      listener.rebalancing();
      isRebalancing = false;
    });
    to.on("consumer.fetch_start", ({ payload }) => cameRound(payload.nodeId));
    to.on("consumer.fetch", () => {
      if (!isDone) listener.alive("fetch");
    });
    to.on("consumer.heartbeat", () => {
      if (!isDone) listener.alive("heartbeat");
    });
    to.on("consumer.start_batch_process", ({ payload }) => passedOver(payload));
    to.on("consumer.crash", ({ payload }) => crash(asError(payload.error)));
  };

  const begun = begin().catch((error: unknown) => crash(asError(error)));
  return {
    async close({ deadlineMs }) {
      isDone = true;
      if (consumer !== null) await withDeadline(clock, deadlineMs, consumer.disconnect()).catch(() => undefined);
      over.abort();
      await withDeadline(clock, deadlineMs, begun);
    },
  };
}

async function askPositions(
  admin: DriverAdmin,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<readonly PartitionPosition[]> {
  const positions = new Map<string, PartitionPosition>();
  const topics: string[] = [];
  let refusal: { readonly error: unknown } | null = null;
  // First the ends, which also teach the library the brokers: asked for the group's offsets at once, it says that it knows none.
  for (const topic of new Set(partitions.map((one) => one.topic))) {
    try {
      for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
        positions.set(nameOf({ topic, partition }), { topic, partition, committed: null, low: BigInt(low), high: BigInt(high) });
      }
      topics.push(topic);
    } catch (error) {
      refusal = { error }; // A topic that cannot tell – a partition of it has no leader – is left out, and the others can begin.
    }
  }
  if (topics.length === 0 && refusal !== null) throw asError(refusal.error);
  try {
    for (const { topic, partitions: told } of await admin.fetchOffsets({ groupId, topics })) {
      for (const { partition, offset } of told) {
        const position = positions.get(nameOf({ topic, partition }));
        if (position !== undefined && BigInt(offset) >= 0n) positions.set(nameOf(position), { ...position, committed: BigInt(offset) });
      }
    }
  } catch (error) {
    throw asError(error);
  }
  return partitions.flatMap((one) => positions.get(nameOf(one)) ?? []);
}

function recordOf({ offset, key, value, headers = {}, timestamp }: DriverFetchedMessage): ConsumedRecord {
  const pairs: (readonly [string, Uint8Array | null])[] = [];
  for (const [name, given] of Object.entries(headers)) {
    for (const one of Array.isArray(given) ? (given as readonly unknown[]) : [given]) {
      if (one === null || one instanceof Uint8Array) pairs.push([name, one]);
    }
  }
  return { offset: BigInt(offset), key, value, headers: pairs, timestampMs: Number(timestamp) };
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

type ConsumerError = WaybillError<"WAYBILL_TRANSPORT" | "WAYBILL_CONFIG_INVALID">;

function asError(error: unknown): ConsumerError {
  if (isWaybillError(error, "WAYBILL_TRANSPORT") || isWaybillError(error, "WAYBILL_CONFIG_INVALID")) return error;
  return errorOf(failureOf(error));
}

const topicMissing = 3;
const notAuthorized: ReadonlySet<number> = new Set([29, 30, 31]);

function errorOf(failure: ClientFailure): ConsumerError {
  switch (failure.kind) {
    case "answered": {
      const { code, cause } = failure;
      const reason = code === topicMissing ? "topicMissing" : notAuthorized.has(code) ? "notAuthorized" : "refused";
      return transportError(reason, String(code), cause);
    }
    case "notAuthenticated":
      return transportError(failure.kind, null);
    case "unreachable":
    case "timedOut":
    case "clientFailed": {
      const { kind, cause } = failure;
      const isWithoutCoordinator = cause instanceof Error && cause.name === "KafkaJSGroupCoordinatorNotFound";
      return transportError(isWithoutCoordinator ? "coordinatorNotFound" : kind, null, cause);
    }
  }
}

function transportError(reason: string, brokerCode: string | null, cause?: unknown): WaybillError<"WAYBILL_TRANSPORT"> {
  const code = brokerCode === null ? "" : ` (code ${brokerCode})`;
  const facts = { system: "kafka", reason, brokerCode };
  return waybillError("WAYBILL_TRANSPORT", `The Kafka consumer failed: ${reason}${code}.`, facts, cause);
}
