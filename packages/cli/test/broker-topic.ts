/** A topic on a real broker that counts what arrives: a Kafka topic, or a RabbitMQ exchange with a queue. */
import { type TestServer, testName } from "@waybill/testing";
import { connect } from "amqplib";
import { Kafka, logLevel } from "kafkajs";

export interface BrokerTopic {
  readonly topic: string;
  /** Messages in it now. */
  count(): Promise<number>;
  /** Removes it. */
  close(): Promise<void>;
}

export interface KafkaTopicOptions {
  readonly partitions?: number;
  readonly replicas?: number;
  readonly settings?: Readonly<Record<string, string>>;
}

export async function kafkaTopic(url: string, options: KafkaTopicOptions = {}): Promise<BrokerTopic> {
  const { partitions = 2, replicas = 1, settings = {} } = options;
  const topic = testName("cli");
  const brokers = url.replace(/^kafka:\/\//, "").split(",");
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { retries: 10, initialRetryTime: 100 } }).admin();
  await admin.connect();
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
  await admin.createTopics({
    waitForLeaders: true,
    topics: [{ topic, numPartitions: partitions, replicationFactor: replicas, configEntries }],
  });
  return {
    topic,
    async count() {
      return (await admin.fetchTopicOffsets(topic)).reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
    },
    async close() {
      await admin.deleteTopics({ topics: [topic] });
      await admin.disconnect();
    },
  };
}

/** `settings` are the queue's arguments; without any it is one that loses nothing. */
export async function rabbitmqTopic(
  server: Pick<TestServer, "url">,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<BrokerTopic> {
  const topic = testName("cli");
  const connection = await connect(server.url);
  const channel = await connection.createChannel();
  await channel.assertExchange(topic, "topic", { durable: true });
  await channel.assertQueue(topic, { durable: true, arguments: settings });
  await channel.bindQueue(topic, topic, "#");
  return {
    topic,
    count: async () => (await channel.checkQueue(topic)).messageCount,
    async close() {
      await channel.deleteQueue(topic);
      await channel.deleteExchange(topic);
      await connection.close();
    },
  };
}
