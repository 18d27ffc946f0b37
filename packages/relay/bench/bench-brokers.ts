/** The broker of a benchmark: topics on it, our transport and source, and the raw client with the same window. HTTP stands in for one. */
import type { Source, Transport } from "@waybill/core";
import { kafkaSource, kafkaTransport, parseKafkaUrl } from "@waybill/kafka";
import { rabbitmqSource, rabbitmqTransport, topicQueues } from "@waybill/rabbitmq";
import { provideServer, testName } from "@waybill/testing";
import { connect } from "amqplib";
import { Kafka, logLevel } from "kafkajs";
import { openHttp } from "./bench-http.ts";

export interface RawMessage {
  readonly key: string;
  readonly payload: string;
}

export interface BenchBroker {
  /** `rabbitmq`, `kafka`, `http`. */
  readonly name: string;
  readonly version: string;
  /** A topic that keeps what is published to it; for the inbox of `bench`, too. */
  newTopic(): Promise<string>;
  transport(): Transport;
  source(topic: string): Source;
  /**
   * Publishes with the raw client, confirmed, at most 500 at a time on their way as ours has, with an envelope of the same names and lengths as
   * ours: the broker gets the same messages. Resolves with the last confirm. null: there is no broker to compare with.
   */
  readonly publishRaw: ((topic: string, messages: readonly RawMessage[]) => Promise<void>) | null;
  /** For what keeps no messages by itself; null: it is a broker. */
  readonly keeper: Keeper | null;
  stop(): Promise<void>;
}

/** Takes a broker's place where there is none: so that publishing and handling can be measured one without the other. */
export interface Keeper {
  /** Confirms and keeps what is published to a topic, until the function it answers is called. */
  keep(topic: string): () => Promise<void>;
  /** Sends what was kept to whoever consumes the topic now. Resolves when all of it is confirmed. */
  deliver(topic: string): Promise<void>;
}

/** The attributes that our messages carry, as headers. */
const envelopeOf = (prefix: string, topic: string, key: string, index: number): Record<string, string> => ({
  [`${prefix}specversion`]: "1.0",
  [`${prefix}id`]: `01a1fecd-eb88-7003-a493-${String(index).padStart(12, "0")}`,
  [`${prefix}source`]: "/order-service",
  [`${prefix}type`]: "shop.order.placed.v1",
  [`${prefix}time`]: "2026-11-21T12:00:00.000Z",
  [`${prefix}topic`]: topic,
  [`${prefix}sequence`]: String(index),
  [`${prefix}partitionkey`]: key,
});

const partitions = 6;
const windowMessages = 500;

export async function openBenchBroker(wanted: string): Promise<BenchBroker> {
  if (wanted === "http") return openHttp();
  if (wanted !== "kafka" && wanted !== "rabbitmq") {
    const given = { url: wanted, version: "as given", stop: async () => undefined };
    return wanted.startsWith("kafka:") ? await openKafka(given) : openRabbitmq(given);
  }
  const provided = await provideServer({ kind: wanted });
  if (provided.kind === "skipped") throw new Error(`No ${wanted} to measure: ${provided.reason}. ${provided.advice}`);
  return wanted === "kafka" ? await openKafka(provided) : openRabbitmq(provided);
}

interface Given {
  readonly url: string;
  readonly version: string;
  stop(): Promise<void>;
}

async function openKafka({ url, version, stop }: Given): Promise<BenchBroker> {
  const { connection } = parseKafkaUrl(url);
  const kafka = new Kafka({ brokers: [...connection.brokers], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const topics: string[] = [];
  return {
    name: "kafka",
    version,
    async newTopic() {
      const topic = testName("bench");
      topics.push(topic);
      await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true });
      return topic;
    },
    transport: () => kafkaTransport(connection),
    source: (topic) => kafkaSource({ ...connection, groupId: topic, topics: [topic] }),
    keeper: null,
    async publishRaw(topic, messages) {
      const producer = kafka.producer({ allowAutoTopicCreation: false, retry: { retries: 0 } });
      await producer.connect();
      const byPartition = Array.from(
        { length: partitions },
        (): { key: string; value: string; partition: number; headers: Record<string, string> }[] => [],
      );
      for (const [index, { key, payload }] of messages.entries()) {
        const partition = index % partitions;
        const headers = { "content-type": "application/json", ...envelopeOf("ce_", topic, key, index) };
        byPartition[partition]?.push({ key, value: payload, partition, headers });
      }
      await Promise.all(
        byPartition.map(async (records) => {
          // One send per partition at a time, as ours; all of them together have the window.
          const perSend = Math.floor(windowMessages / partitions);
          for (let from = 0; from < records.length; from += perSend)
            await producer.send({ topic, acks: -1, messages: records.slice(from, from + perSend) });
        }),
      );
      await producer.disconnect();
    },
    async stop() {
      if (topics.length > 0) await admin.deleteTopics({ topics }).catch(() => undefined); // a broker of ours goes as a whole
      await admin.disconnect();
      await stop();
    },
  };
}

function openRabbitmq({ url, version, stop }: Given): BenchBroker {
  const topics: string[] = [];
  const queuesOf = (topic: string) => topicQueues({ consumer: "bench", topics: [topic] });
  return {
    name: "rabbitmq",
    version,
    async newTopic() {
      const topic = testName("bench");
      topics.push(topic);
      const transport = rabbitmqTransport({ url, queues: queuesOf(topic) });
      await transport.start({ deadlineMs: 10_000 });
      await transport.close({ deadlineMs: 5_000 });
      return topic;
    },
    transport: () => rabbitmqTransport({ url }),
    source: (topic) => rabbitmqSource({ url, queues: queuesOf(topic) }),
    keeper: null,
    async publishRaw(topic, messages) {
      const connection = await connect(url);
      const channel = await connection.createConfirmChannel();
      let onWay = 0;
      let wake: () => void = () => undefined;
      for (const [index, { key, payload }] of messages.entries()) {
        while (onWay >= windowMessages) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        onWay += 1;
        const headers = envelopeOf("cloudEvents_", topic, key, index);
        const messageId = String(headers["cloudEvents_id"]);
        const properties = {
          persistent: true,
          mandatory: true,
          messageId,
          type: "shop.order.placed.v1",
          contentType: "application/json",
          headers,
        };
        channel.publish(topic, topic, Buffer.from(payload), properties, (error) => {
          if (error !== null && error !== undefined) throw error;
          onWay -= 1;
          wake();
        });
      }
      await channel.waitForConfirms();
      await connection.close();
    },
    async stop() {
      const connection = await connect(url);
      const channel = await connection.createChannel();
      for (const topic of topics) {
        for (const { name } of queuesOf(topic)) await channel.deleteQueue(name);
        await channel.deleteExchange(topic);
      }
      await connection.close();
      await stop();
    },
  };
}
