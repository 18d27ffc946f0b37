import { kafkaTransport } from "@waybill/kafka";
import { startFakeKafka, type TransportHarm, testBroker, transportContract } from "@waybill/testing";
import { afterAll, beforeAll, describe, test } from "vitest";
import { client } from "./client-under-test.ts";
import { receivedFrom } from "./received-from.ts";
import { type Topics, topicsOf } from "./topics-of.ts";

describe(`the Kafka transport on a real broker (${client})`, () => {
  let topics: Topics;
  beforeAll(async () => {
    topics = await topicsOf((await testBroker("kafka")).url);
  });
  afterAll(() => topics?.close());

  // The cases name their topic themselves, so each begins with that topic made anew.
  const cases = transportContract({
    async create() {
      const transport = kafkaTransport({ brokers: topics.addresses, client });
      const topic = await topics.create({ name: "contract", partitions: 3 });
      return {
        transport,
        received: async () => (await topics.read(topic)).map(({ message }) => message),
        async dispose() {
          await transport.close({ deadlineMs: 5_000 });
          await topics.remove(topic);
        },
      };
    },
  });
  for (const { name, run } of cases) test(name, run);
});

/** Codes of a broker that never takes a message, and of one that does not take it now. */
const codes: Readonly<Record<Exclude<TransportHarm, "silence">, number>> = { refuse: 10, fail: 2 };

describe(`the Kafka transport on a broker that can be told to fail (${client})`, () => {
  const cases = transportContract({
    capabilities: { harms: ["refuse", "fail", "silence"] },
    async create() {
      const harms = new Map<string, TransportHarm>();
      const fake = await startFakeKafka({
        topics: { contract: [0, 1, 0] },
        onProduce({ records }) {
          const harm = records.map(({ headers }) => harms.get(headers.get("ce_id") ?? "")).find((found) => found !== undefined);
          if (harm === undefined) return "store";
          return harm === "silence" ? { silent: true } : { code: codes[harm] };
        },
      });
      const transport = kafkaTransport({ brokers: fake.addresses, client });
      return {
        transport,
        received: async () => fake.stored.flatMap(receivedFrom),
        harm: (messageId, harm) => void harms.set(messageId, harm),
        async dispose() {
          await transport.close({ deadlineMs: 1_000 });
          await fake.stop();
        },
      };
    },
  });
  for (const { name, run } of cases) test(name, run);
});
