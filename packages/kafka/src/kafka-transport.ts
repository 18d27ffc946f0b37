/**
 * The transport over Kafka: one record per message, confirmed by the leader's answer for its very partition.
 *
 *     publish(batch) ─▶ by topic ─▶ partitions known? ─▶ by partition ─▶ its turn ─▶ sends, one after the other ─▶ outcomes
 *                          │              │                  │              │            └ ≤ 500 records, ≤ 512 KiB, one batch
 *                          │              │                  │              └ one send under way per partition, over all calls
 *                          │              │                  └ keyed: by hash; keyless: one partition per call, in rotation
 *                          │              └ asked every 60 s, over a connection that sends nothing
 *                          └ a topic has a producer of its own: a dead one stops no other
 *
 * A key stops at its first message that is not confirmed: what follows in the call is not sent, or was in the same record batch,
 * which is stored whole or not at all: then it shares the fate of the first. What is unknown is published again under the same id, and so is what was stored when we die
 * between the answer and whoever saves it. Late writes of an earlier try can only repeat what its later try published, in order.
 *
 * Nothing outlives its call: by the call's deadline every send has settled, and one that was not written by then never will be. Nor does
 * a send begin shortly before it, only to be cut off and repeated.
 */
import {
  behindItsKey,
  type ConfigProblem,
  emit,
  type OutgoingMessage,
  type PublishOptions,
  type PublishOutcome,
  type Transport,
  throwConfigProblems,
  topicProblem,
  withDeadline,
  writeTimeMs,
} from "@waybill/core";
import { cutIntoBatches } from "./batches.ts";
import { toRecord } from "./binary-mode.ts";
import { checkConnection, type KafkaConnectionOptions } from "./connection-options.ts";
import { openProducerClient } from "./open-producer-client.ts";
import { notSent, proofOf, rejectedAs } from "./outcome.ts";
import { type KafkaPartitioner, partitionOf } from "./partitioning.ts";
import type { KafkaRecord, KafkaSendResult } from "./producer-client.ts";
import { createProducerPool } from "./producer-pool.ts";
import { createTopics } from "./topics.ts";
import { createTurns } from "./turns.ts";

export interface KafkaTransportOptions extends KafkaConnectionOptions {
  /**
   * Which partition a key goes to. `murmur2` (default) is what Kafka's Java clients do, `crc32` what librdkafka does. Choose what the
   * topic's other producers do, and never change it while messages are under way: a key that moves loses its order.
   */
  readonly partitioner?: KafkaPartitioner;
  /** With kafkajs: `true` (default) takes the idle timers out of exactly version 2.2.4, for the whole process. */
  readonly patchIdleTimer?: boolean;
}

/** For one send, whatever the call still has. */
const sendMsMax = 10_000;
/** Of one topic, in one call. More waits in memory that the caller already holds. */
const partitionsAtOnceMax = 16;

/** A message on its way, and its place in the call. */
interface Item {
  readonly place: number;
  readonly key: string | null;
  readonly record: KafkaRecord;
}

/** One call, as every message of it meets it. */
interface Call {
  readonly deadlineAtMs: number;
  /** No send begins later than that: its answer could hardly come in time. */
  readonly writeUntilMs: number;
  readonly mayWrite: (() => boolean) | undefined;
  readonly outcomes: PublishOutcome[];
  /** How many sends were written, and how many of them nobody answered: by partition. */
  readonly answered: Set<string>;
  readonly unanswered: Set<string>;
}

/** Of one topic in one call: keys behind whose first failure nothing more is sent. */
interface Lane {
  readonly topic: string;
  readonly partition: number;
  readonly stopped: Set<string>;
}

/**
 * Makes a transport that publishes to Kafka with `acks=all`, without transactions, and never creates a topic.
 *
 * @throws WAYBILL_CONFIG_INVALID lists everything that is wrong with the options
 */
export function kafkaTransport(options: KafkaTransportOptions): Transport {
  const { partitioner = "murmur2", patchIdleTimer = true, onEvent } = options;
  const problems: ConfigProblem[] = [];
  const connection = checkConnection(options, problems);
  if (partitioner !== "murmur2" && partitioner !== "crc32") problems.push({ option: "partitioner", problem: "must be murmur2 or crc32" });
  throwConfigProblems("The Kafka transport", problems);

  const { clock, random } = connection;
  const client = openProducerClient(connection, { patchIdleTimer });
  const producers = createProducerPool(client, sendMsMax);
  const turns = createTurns(clock);
  const topics = createTopics({
    client,
    clock,
    random,
    onChange(topic, from, to) {
      // What is under way ends on the old producer; the next send begins with the new number.
      producers.replaceAny(topic);
      if (to !== null) emit(onEvent, { name: "kafka.partitionsChanged", topic, from, to });
    },
  });
  let calls = 0;
  let closing: Promise<void> | null = null;
  let onQuiet: (() => void) | null = null;

  /** One record batch over the topic's producer, which is replaced unless it did what was expected. */
  const send = async (items: readonly Item[], { topic, partition }: Lane, call: Call): Promise<KafkaSendResult> => {
    if (closing !== null) return { kind: "notSent", reason: "closed", code: null };
    if (call.mayWrite?.() === false) return { kind: "notSent", reason: "leaseLost", code: null };
    const nowMs = clock.monotonicMs();
    if (nowMs >= call.writeUntilMs) return { kind: "notSent", reason: "deadline", code: null };
    const deadlineMs = Math.min(sendMsMax, call.deadlineAtMs - nowMs);
    const producer = producers.of(topic);
    const records = items.map(({ record }) => record);
    const result = await producer.send({ topic, partition, records }, { deadlineMs, mayWrite: call.mayWrite });
    if (result.kind === "stored" || result.kind === "answered") {
      topics.noteReach(true);
      call.answered.add(`${partition} ${topic}`);
      return result;
    }
    if (result.kind === "unanswered") call.unanswered.add(`${partition} ${topic}`);
    if (result.reason === "partitionUnknown" || result.reason === "refused") topics.doubt(topic);
    if (producers.replace(topic, producer))
      emit(onEvent, { name: "kafka.producerReplaced", topic, reason: result.reason, code: result.code });
    return result;
  };

  /**
   * Marks messages that were not confirmed: the first of each key with `outcome`; what is behind it stays as it was. Messages of unknown
   * fate went out as one record batch, stored whole or not at all: what is behind another in it may be stored as well.
   */
  const fail = (items: readonly Item[], outcome: PublishOutcome, { stopped }: Lane, call: Call): void => {
    for (const { place, key } of items) {
      if (key !== null && stopped.has(key) && outcome.kind !== "unknown") continue;
      if (key !== null) stopped.add(key);
      call.outcomes[place] = outcome;
    }
  };

  /** Sends a batch, in halves where the broker refuses one of it. Null: the partition goes on; else what stops it. */
  const sendBatch = async (all: readonly Item[], lane: Lane, call: Call): Promise<PublishOutcome | null> => {
    const items = all.filter(({ key }) => key === null || !lane.stopped.has(key));
    if (items.length === 0) return null;
    const result = await send(items, lane, call);
    const proof = proofOf(result, items.length);
    if (proof.kind === "halves") {
      const middle = Math.ceil(items.length / 2);
      const right = items.slice(middle);
      const stop = await sendBatch(items.slice(0, middle), lane, call);
      if (stop === null) return await sendBatch(right, lane, call);
      fail(right, stop, lane, call);
      return stop;
    }
    const { outcome } = proof;
    if (outcome.kind === "confirmed") {
      for (const { place } of items) call.outcomes[place] = outcome;
      return null;
    }
    if (result.kind === "notSent" && (result.reason === "unreachable" || result.reason === "notAuthenticated"))
      topics.noteReach(false, outcome);
    fail(items, outcome, lane, call);
    if (outcome.kind === "rejected" || outcome.scope === "message") return null;
    // The rest of the partition was not sent, whatever became of this batch.
    return {
      kind: "retry",
      scope: outcome.scope,
      error: outcome.error,
      ...(outcome.afterMs === undefined ? {} : { afterMs: outcome.afterMs }),
    };
  };

  const publishPartition = async (items: readonly Item[], lane: Lane, call: Call): Promise<void> => {
    const place = `${lane.partition} ${lane.topic}`;
    if (!(await turns.take(place, call.writeUntilMs - clock.monotonicMs()))) {
      fail(items, notSent("deadline", "topic"), lane, call);
      return;
    }
    try {
      let stop: PublishOutcome | null = null;
      for (const batch of cutIntoBatches(items)) {
        if (stop === null) stop = await sendBatch(batch, lane, call);
        else fail(batch, stop, lane, call);
      }
    } finally {
      turns.giveBack(place);
    }
  };

  const publishTopic = async (topic: string, items: readonly Item[], call: Call): Promise<void> => {
    const stopped = new Set<string>();
    const failAll = (outcome: PublishOutcome): void => fail(items, outcome, { topic, partition: -1, stopped }, call);
    if (closing !== null) return failAll(notSent("closed", "transport"));
    if (call.mayWrite?.() === false) return failAll(notSent("leaseLost", "transport"));
    const answer = await topics.ask(topic, call.writeUntilMs - clock.monotonicMs());
    if (answer.kind === "failed") return failAll(answer.outcome);

    let keyless: number | null = null;
    const byPartition = new Map<number, Item[]>();
    for (const item of items) {
      const partition =
        item.key === null
          ? (keyless ??= topics.nextPartition(topic, answer.partitions))
          : partitionOf(partitioner, item.key, answer.partitions);
      const found = byPartition.get(partition);
      if (found === undefined) byPartition.set(partition, [item]);
      else found.push(item);
    }
    const next = byPartition.entries();
    const runPartitions = async (): Promise<void> => {
      for (const [partition, its] of next) await publishPartition(its, { topic, partition, stopped }, call);
    };
    await Promise.all(Array.from({ length: Math.min(byPartition.size, partitionsAtOnceMax) }, runPartitions));
  };

  const publish = async (
    batch: readonly OutgoingMessage[],
    { deadlineMs, mayWrite }: PublishOptions,
  ): Promise<readonly PublishOutcome[]> => {
    const behind = notSent(behindItsKey, "message");
    const nowMs = clock.monotonicMs();
    const call: Call = {
      deadlineAtMs: nowMs + deadlineMs,
      writeUntilMs: nowMs + writeTimeMs(deadlineMs),
      mayWrite,
      outcomes: batch.map(() => behind),
      answered: new Set(),
      unanswered: new Set(),
    };
    const byTopic = new Map<string, Item[]>();
    const cutKeys = new Set<string>();
    const reject = (place: number, { topic, key }: OutgoingMessage, reason: string, cause?: unknown): void => {
      call.outcomes[place] = rejectedAs(reason, cause);
      if (key !== null) cutKeys.add(`${topic} ${key}`);
    };
    for (const [place, message] of batch.entries()) {
      const { topic, key } = message;
      if (key !== null && cutKeys.has(`${topic} ${key}`)) continue;
      // The library fails on some names in a way that looks like a broker that is gone.
      if (topicProblem(topic) !== null) {
        reject(place, message, "topicInvalid");
        continue;
      }
      try {
        const item: Item = { place, key, record: toRecord(message) };
        const found = byTopic.get(topic);
        if (found === undefined) byTopic.set(topic, [item]);
        else found.push(item);
      } catch (error) {
        reject(place, message, "recordInvalid", error);
      }
    }
    calls += 1;
    try {
      await Promise.all([...byTopic].map(([topic, items]) => publishTopic(topic, items, call)));
    } finally {
      calls -= 1;
      if (calls === 0) onQuiet?.();
    }
    // Several partitions, and not one answer: that is no partition's trouble, but everything's.
    const isSilent = call.answered.size === 0 && call.unanswered.size > 1;
    return isSilent ? call.outcomes.map(ofTransport) : call.outcomes;
  };

  const close = async (deadlineMs: number): Promise<void> => {
    const untilMs = clock.monotonicMs() + deadlineMs;
    if (calls > 0) {
      const quiet = new Promise<void>((resolve) => {
        onQuiet = resolve;
      });
      await withDeadline(clock, deadlineMs, quiet);
    }
    await producers.destroy();
    await client.close({ deadlineMs: Math.max(0, untilMs - clock.monotonicMs()) });
  };

  return {
    publish,
    close: ({ deadlineMs }) => {
      closing ??= close(deadlineMs);
      return closing;
    },
  };
}

function ofTransport(outcome: PublishOutcome): PublishOutcome {
  return outcome.kind === "unknown" ? { ...outcome, scope: "transport" } : outcome;
}
