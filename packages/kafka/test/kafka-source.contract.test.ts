import { randomUUID } from "node:crypto";
import { kafkaSource } from "@waybill/kafka";
import { sourceContract, testBroker } from "@waybill/testing";
import { afterAll, beforeAll, describe, test } from "vitest";
import { client } from "./client-under-test.ts";
import { senderTo } from "./send-records.ts";
import { type Topics, topicsOf } from "./topics-of.ts";

describe(`the Kafka source on a real broker (${client})`, () => {
  let topics: Topics;
  beforeAll(async () => {
    topics = await topicsOf((await testBroker("kafka")).url);
  });
  afterAll(() => topics?.close());

  const cases = sourceContract({
    // The broker marks nothing that it delivers again.
    capabilities: { tellsRedelivery: "ofItsOwn", deadlineMs: 60_000 },
    async create() {
      const topic = await topics.create({ partitions: 2 });
      const sender = await senderTo(topics.kafka); // of its own: one that has seen a topic that is gone sends nothing any more
      const source = kafkaSource({
        brokers: topics.addresses,
        client,
        groupId: `contract-${randomUUID()}`,
        topics: [topic],
        // A member whose goodbye did not get through holds up the one that follows for so long; the case's deadline must not.
        sessionTimeoutMs: 6_000,
        heartbeatMs: 1_500,
        rebalanceTimeoutMs: 6_000,
      });
      return {
        source,
        send: (messages) => sender.send(topic, messages, ({ key }) => (key === null ? 0 : key.length % 2)),
        async dispose() {
          await sender.close();
          await topics.remove(topic);
        },
      };
    },
  });
  for (const { name, run } of cases) test(name, run, 120_000);
});
