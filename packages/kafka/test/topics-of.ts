/**
 * Topics for tests on a real broker, over kafkajs' admin: made, changed, read back and removed. What it reads is what lies in the log,
 * in the order of each partition, and is turned into messages by the package's own reader.
 */
import { randomUUID } from "node:crypto";
import type { ReceivedMessage } from "@waybill/core";
import { waitUntil } from "@waybill/testing";
import { Kafka, logLevel } from "kafkajs";
import { receivedRecord } from "../src/received-record.ts";

export interface ReadRecord {
  readonly partition: number;
  readonly offset: bigint;
  readonly timestampMs: number;
  readonly message: ReceivedMessage;
}

export interface PartitionState {
  readonly partitionId: number;
  readonly leader: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
}

export interface Topics {
  readonly addresses: readonly string[];
  readonly kafka: Kafka;
  /** Makes a topic with a name of its own. */
  create(options?: {
    readonly name?: string;
    readonly partitions?: number;
    readonly replicas?: number;
    readonly settings?: Readonly<Record<string, string>>;
  }): Promise<string>;
  remove(topic: string): Promise<void>;
  addPartitions(topic: string, count: number): Promise<void>;
  /** As some broker has them now; empty if that one does not answer or does not know the topic yet. */
  states(topic: string): Promise<readonly PartitionState[]>;
  /** Everything in the topic now, partition by partition. */
  read(topic: string): Promise<readonly ReadRecord[]>;
  /** Removes the topics it made. */
  close(): Promise<void>;
}

/** `url` as `testBroker("kafka")` and `startKafka` give it. */
export async function topicsOf(url: string): Promise<Topics> {
  const addresses = url.replace(/^kafka:\/\//, "").split(",");
  const kafka = new Kafka({ brokers: [...addresses], logLevel: logLevel.NOTHING, retry: { retries: 10, initialRetryTime: 100 } });
  const admin = kafka.admin();
  await admin.connect();
  const made = new Set<string>();

  const read = async (topic: string): Promise<readonly ReadRecord[]> => {
    const ends = await admin.fetchTopicOffsets(topic);
    const left = new Map(
      ends.filter(({ high, low }) => Number(high) > Number(low)).map(({ partition, high }) => [partition, BigInt(high)]),
    );
    const found: ReadRecord[] = [];
    if (left.size === 0) return found;
    const consumer = kafka.consumer({ groupId: `read-${randomUUID()}`, sessionTimeout: 30_000 });
    await consumer.connect();
    try {
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      await new Promise<void>((resolve, reject) => {
        consumer.on(consumer.events.CRASH, ({ payload }) => {
          if (!payload.restart) reject(payload.error);
        });
        const eachBatch: NonNullable<Parameters<typeof consumer.run>[0]>["eachBatch"] = ({ batch }) => {
          for (const { offset, key, value, headers = {}, timestamp } of batch.messages) {
            const end = left.get(batch.partition);
            if (end === undefined || BigInt(offset) >= end) continue;
            const pairs = Object.entries(headers).map(([name, text]) => [name, Buffer.from(text as Buffer | string)] as const);
            const record = { offset: BigInt(offset), key, value, headers: pairs, timestampMs: Number(timestamp) };
            const { message } = receivedRecord(record, topic);
            found.push({ partition: batch.partition, offset: record.offset, timestampMs: record.timestampMs, message });
          }
          const end = left.get(batch.partition);
          if (end !== undefined && BigInt(batch.lastOffset()) + 1n >= end) left.delete(batch.partition);
          if (left.size === 0) resolve();
          return Promise.resolve();
        };
        consumer.run({ autoCommit: false, eachBatch }).catch(reject);
      });
    } finally {
      await consumer.disconnect();
    }
    return found.sort((one, other) => one.partition - other.partition || (one.offset < other.offset ? -1 : 1));
  };

  return {
    addresses,
    kafka,
    async create({ name = `test-${randomUUID()}`, partitions = 1, replicas = 1, settings = {} } = {}) {
      const configEntries = Object.entries(settings).map(([each, value]) => ({ name: each, value }));
      const topic = { topic: name, numPartitions: partitions, replicationFactor: replicas, configEntries };
      // It looks at all topics that it knows first, and throws where a broker has not heard of one of them yet. Its own wait for leaders does the same.
      const isMade = (): Promise<boolean> =>
        admin.createTopics({ topics: [topic], waitForLeaders: false }).then(
          () => true,
          (error: { readonly type?: string }) => {
            if (error.type === "UNKNOWN_TOPIC_OR_PARTITION") return false;
            throw error;
          },
        );
      await waitUntil(isMade, { what: `${name} is made`, intervalMs: 100 });
      made.add(name);
      // Made is not yet led: until its leaders answer for it, whoever publishes is told so.
      await waitUntil(
        () =>
          admin.fetchTopicOffsets(name).then(
            ({ length }) => length === partitions,
            () => false,
          ),
        {
          what: `the leaders of ${name} answer`,
          deadlineMs: 60_000,
          intervalMs: 20,
        },
      );
      return name;
    },
    async remove(topic) {
      made.delete(topic);
      await admin.deleteTopics({ topics: [topic] });
    },
    async addPartitions(topic, count) {
      await admin.createPartitions({ topicPartitions: [{ topic, count }] });
    },
    async states(topic) {
      // Over connections of its own each time: an admin that has met a frozen broker is slow to forget it.
      const own = kafka.admin({ retry: { retries: 0 } });
      try {
        await own.connect();
        return (await own.fetchTopicMetadata({ topics: [topic] })).topics[0]?.partitions ?? [];
      } catch {
        return [];
      } finally {
        own.disconnect().catch(() => undefined);
      }
    },
    read,
    async close() {
      if (made.size > 0) await admin.deleteTopics({ topics: [...made] }).catch(() => undefined);
      await admin.disconnect();
    },
  };
}
