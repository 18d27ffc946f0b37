import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type StartedKafka, startKafka, waitUntil } from "../src/index.ts";
import { kafkaGreeting } from "../src/servers/kafka-greeting.ts";
import { describeLaunchedServer, kafkaProgramsAreThere, startMs, whyNot } from "./launched-server.ts";

const missing = await whyNot(kafkaProgramsAreThere);

function client(addresses: readonly string[]): Kafka {
  return new Kafka({ brokers: [...addresses], logLevel: logLevel.NOTHING, retry: { retries: 20, maxRetryTime: 2_000 } });
}

async function asAdmin<Answer>(
  addresses: readonly string[],
  work: (admin: ReturnType<Kafka["admin"]>) => Promise<Answer>,
): Promise<Answer> {
  const admin = client(addresses).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

async function produce(addresses: readonly string[], topic: string): Promise<void> {
  const producer = client(addresses).producer({ allowAutoTopicCreation: false });
  await producer.connect();
  try {
    await producer.send({ topic, acks: -1, messages: [{ key: "a", value: "one" }] });
  } finally {
    await producer.disconnect();
  }
}

const addressOf = (url: string): string[] => [new URL(url).host];

describeLaunchedServer("a Kafka of one's own", {
  kind: "kafka",
  missing,
  async start() {
    const kafka = await startKafka();
    const broker = kafka.broker(1);
    expect(kafka.url).toBe(broker.url);
    return broker;
  },
  async write(url) {
    await asAdmin(addressOf(url), (admin) => admin.createTopics({ waitForLeaders: true, topics: [{ topic: "kept", numPartitions: 1 }] }));
    await produce(addressOf(url), "kept");
  },
  read: (url) => asAdmin(addressOf(url), async (admin) => (await admin.fetchTopicOffsets("kept")).map(({ high }) => high)),
  kept: ["1"],
  version: /^4\.\d+\.\d+$/,
});

describe.skipIf(missing !== null)("a Kafka of three brokers", () => {
  let kafka: StartedKafka;
  beforeAll(async () => {
    kafka = await startKafka({ brokers: 3, settings: { "message.max.bytes": "3000" } });
    await asAdmin(kafka.addresses, (admin) =>
      admin.createTopics({ waitForLeaders: false, topics: [{ topic: "orders", numPartitions: 1, replicationFactor: 3 }] }),
    );
    // kafkajs' own wait throws when it asks a broker that has not heard of the topic yet.
    await waitUntil(async () => (await leader().catch(() => -1)) !== -1, {
      what: "the topic has a leader",
      deadlineMs: 60_000,
      intervalMs: 200,
    });
  }, startMs);
  afterAll(() => kafka?.stop(), 60_000);

  const leader = async (): Promise<number> => {
    const { topics } = await asAdmin(kafka.addresses, (admin) => admin.fetchTopicMetadata({ topics: ["orders"] }));
    return topics[0]?.partitions[0]?.leader ?? -1;
  };
  const answers = async (id: number): Promise<boolean> =>
    (await kafkaGreeting({ host: "127.0.0.1", port: kafka.broker(id).port })).kind === "welcome";

  it("has all of them in its URL, and the settings that it was given", async () => {
    expect(kafka.url).toBe(`kafka://${kafka.addresses.join(",")}`);
    expect(kafka.addresses).toHaveLength(3);
    const { resources } = await asAdmin(kafka.addresses, (admin) =>
      admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: 4, name: "2", configNames: ["message.max.bytes", "min.insync.replicas"] }],
      }),
    );
    const configured = Object.fromEntries(
      resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]) ?? [],
    );
    expect(configured).toEqual({ "message.max.bytes": "3000", "min.insync.replicas": "2" });
    expect(() => kafka.broker(4)).toThrow(RangeError);
  }, 60_000);

  it("elects another leader when the leader is killed, and takes it back", async () => {
    const first = await leader();
    await kafka.broker(first).kill("SIGKILL");
    await waitUntil(async () => ![first, -1].includes(await leader()), {
      what: "another broker leads",
      deadlineMs: 60_000,
      intervalMs: 200,
    });
    await produce(kafka.addresses, "orders");
    await kafka.broker(first).restart();
    expect(await answers(first)).toBe(true);
  }, 180_000);

  it("freezes a broker, which answers nothing until it is resumed", async () => {
    await kafka.broker(3).freeze();
    expect(await answers(3)).toBe(false);
    expect(kafka.broker(3).pid()).not.toBeNull();
    await kafka.broker(3).resume();
    await waitUntil(() => answers(3), { what: "the resumed broker answers", deadlineMs: 60_000, intervalMs: 100 });
  }, 180_000);
});
