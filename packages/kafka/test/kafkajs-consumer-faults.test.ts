/** Brokers of our own that freeze, die and refuse under a consumer: it comes back, or `consume` ends and says why. */
import { randomUUID } from "node:crypto";
import { inspect } from "node:util";
import type { OutgoingMessage } from "@waybill/core";
import { type KafkaSourceOptions, kafkaSource, kafkaTransport } from "@waybill/kafka";
import { type StartedKafka, startKafka, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { client, isKafkajs } from "./client-under-test.ts";
import { consuming, sourceEvents } from "./consuming.ts";
import { messagesOf, publishUntilConfirmed } from "./sample-messages.ts";
import { type Topics, topicsOf } from "./topics-of.ts";

const done = { kind: "done" } as const;

/** Short, so that a test need not wait half a minute for what operators wait half a minute for. */
const quick: Partial<KafkaSourceOptions> = { sessionTimeoutMs: 6_000, heartbeatMs: 1_000, silenceMs: 6_000, rebalanceTimeoutMs: 10_000 };

/** Stores messages whatever the brokers go through meanwhile. What is stored twice is known by its id. */
async function store(addresses: readonly string[], messages: readonly OutgoingMessage[]): Promise<void> {
  const transport = kafkaTransport({ client, brokers: addresses });
  try {
    await publishUntilConfirmed(transport, messages, { withinMs: 90_000 });
  } finally {
    await transport.close({ deadlineMs: 1_000 });
  }
}

describe("three brokers", () => {
  let kafka: StartedKafka;
  let topics: Topics;
  beforeAll(async () => {
    kafka = await startKafka({ brokers: 3, settings: { "leader.imbalance.per.broker.percentage": "0" } });
    topics = await topicsOf(kafka.url);
  }, 180_000);
  afterAll(async () => {
    await topics?.close();
    await kafka?.stop();
  });

  async function leaderOf(topic: string, partition: number): Promise<number> {
    const admin = topics.kafka.admin();
    await admin.connect();
    try {
      const { topics: found } = await admin.fetchTopicMetadata({ topics: [topic] });
      return found[0]?.partitions.find(({ partitionId }) => partitionId === partition)?.leader ?? -1;
    } finally {
      await admin.disconnect();
    }
  }

  /** A group whose offsets lie with another broker than the one that leads the topic. */
  async function groupElsewhere(leader: number): Promise<{ readonly groupId: string; readonly coordinator: number }> {
    for (;;) {
      const groupId = randomUUID();
      let hash = 0;
      for (const character of groupId) hash = (Math.imul(31, hash) + character.charCodeAt(0)) | 0;
      const coordinator = await leaderOf("__consumer_offsets", Math.abs(hash) % 4);
      if (coordinator > 0 && coordinator !== leader) return { groupId, coordinator };
    }
  }

  test("K7: it goes on when its coordinator freezes, and when the leader of its partition does", { timeout: 400_000 }, async () => {
    const topic = await topics.create({ replicas: 3 });
    const make = messagesOf(topic);
    // The offsets' topic is made when the first group comes.
    const first = consuming(kafkaSource({ client, brokers: kafka.addresses, groupId: randomUUID(), topics: [topic], ...quick }));
    await store(kafka.addresses, [make()]);
    await first.until("the first message is handled", () => first.finished.length === 1);
    await first.end();

    const { groupId, coordinator } = await groupElsewhere(await leaderOf(topic, 0));
    const events = sourceEvents();
    const source = kafkaSource({ client, brokers: kafka.addresses, groupId, topics: [topic], ...quick, onEvent: events.onEvent });
    const running = consuming(source);
    const untilHandled = (messages: readonly OutgoingMessage[]): Promise<void> =>
      running.until("they are handled", () => messages.every(({ id }) => running.finished.includes(id)), 120_000);
    const before = [make(), make()];
    await store(kafka.addresses, before);
    await untilHandled(before);

    await kafka.broker(coordinator).freeze();
    // kafkajs is replaced; the other finds the next coordinator by itself, and what it had to commit fails once.
    const isNoticed = (): boolean => events.of(isKafkajs ? "source.rebuilding" : "source.commitFailed").length > 0;
    if (isKafkajs) await running.until("the frozen coordinator is noticed", isNoticed, 120_000);
    const underCoordinator = [make(), make()];
    await store(kafka.addresses, underCoordinator);
    await untilHandled(underCoordinator);
    await running.until("the frozen coordinator is noticed", isNoticed, 120_000);
    await kafka.broker(coordinator).resume();
    await waitUntil(async () => (await leaderOf(topic, 0)) > 0, { what: "the topic has a leader", deadlineMs: 60_000 });

    const leader = await leaderOf(topic, 0);
    await kafka.broker(leader).freeze();
    const underLeader = [make(), make()];
    await store(kafka.addresses, underLeader);
    await untilHandled(underLeader);
    await kafka.broker(leader).resume();
    await running.end();
    expect(events.of("source.gapFound")).toEqual([]);
  });

  /** Takes the only replica of a partition to another broker, which leads it then; the old one knows nothing of it any more. */
  async function movePartition(topic: string, partition: number): Promise<void> {
    const next = ((await leaderOf(topic, partition)) % 3) + 1;
    const admin = topics.kafka.admin();
    await admin.connect();
    try {
      await admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment: [{ partition, replicas: [next] }] }] });
    } finally {
      await admin.disconnect();
    }
    await waitUntil(async () => (await leaderOf(topic, partition)) === next, { what: "it leads", deadlineMs: 60_000, intervalMs: 50 });
  }

  test("partitions that move make it join again unasked, in the middle of fetches: nothing is passed over, and keys keep their order", {
    timeout: 300_000,
  }, async () => {
    const topic = await topics.create({ replicas: 1, partitions: 3, settings: { "min.insync.replicas": "1" } });
    const make = messagesOf(topic);
    const events = sourceEvents();
    const groupId = randomUUID();
    const source = kafkaSource({ client, brokers: kafka.addresses, groupId, topics: [topic], ...quick, onEvent: events.onEvent });
    const running = consuming(source, async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return done;
    });
    const sent: OutgoingMessage[] = [];
    const transport = kafkaTransport({ client, brokers: kafka.addresses });
    let isEnough = false;
    const sending = (async () => {
      while (!isEnough) {
        const some = Array.from({ length: 40 }, (_, place) => make({ key: `k${place % 20}` }));
        sent.push(...some);
        await publishUntilConfirmed(transport, some, { withinMs: 90_000 });
      }
    })();
    await running.until("something is handled", () => running.finished.length > 0);
    for (let move = 0; move < 6; move += 1) {
      const seen = running.finished.length;
      await movePartition(topic, move % 3);
      await running.until("it goes on", () => running.finished.length > seen + 20);
    }
    isEnough = true;
    await sending;
    await transport.close({ deadlineMs: 1_000 });
    await running.until("all are handled", () => new Set(running.finished).size === sent.length, 120_000);
    await running.end();
    if (isKafkajs) expect(events.of("source.joined").length).toBeGreaterThan(1); // moves that it did not feel would prove nothing
    expect(events.of("source.gapFound")).toEqual([]);
    const keyOf = new Map(sent.map(({ id, key }) => [id, key]));
    for (const key of new Set(keyOf.values())) {
      const firsts = [...new Set(running.finished.filter((id) => keyOf.get(id) === key))];
      expect(firsts, `the order of ${key}`).toEqual(sent.filter((message) => message.key === key).map(({ id }) => id));
    }
  });
});

describe("one broker", () => {
  test("bad input ends consume with an error that says what it is, and leaves nothing open", { timeout: 240_000 }, async () => {
    const kafka = await startKafka();
    const topics = await topicsOf(kafka.url);
    try {
      const topic = await topics.create();
      const failureOf = async (options: Partial<KafkaSourceOptions>): Promise<unknown> => {
        const source = kafkaSource({
          client,
          brokers: kafka.addresses,
          groupId: randomUUID(),
          topics: [topic],
          ...quick,
          rebuildsMax: 0,
          ...options,
        });
        const running = consuming(source);
        await running.ended;
        return running.failure();
      };
      const facts = (reason: string, brokerCode: string | null = null) => ({
        code: "WAYBILL_TRANSPORT",
        facts: { system: "kafka", reason, brokerCode },
      });
      expect(await failureOf({ topics: [`missing-${randomUUID()}`] })).toMatchObject(facts("topicMissing", "3"));
      expect(await failureOf({ brokers: ["127.0.0.1:1"] })).toMatchObject(facts("unreachable"));
      expect(await failureOf({ ssl: true })).toMatchObject(facts("unreachable"));
      const sasl = { mechanism: "plain", username: "u", password: "the password" } as const;
      const refused = (await failureOf({ sasl })) as Error;
      expect(refused).toMatchObject({ code: "WAYBILL_TRANSPORT" });
      expect(inspect(refused, { depth: 9 })).not.toContain("the password");
    } finally {
      await topics.close();
      await kafka.stop();
    }
  });

  test("K8: a commit that fails is no end: what it was for is delivered again when the broker is back", { timeout: 240_000 }, async () => {
    const kafka = await startKafka();
    const topics = await topicsOf(kafka.url);
    try {
      const topic = await topics.create();
      const make = messagesOf(topic);
      const messages = Array.from({ length: 5 }, () => make());
      await store(kafka.addresses, messages);
      const events = sourceEvents();
      let isDead: () => void = () => undefined;
      const dead = new Promise<void>((resolve) => {
        isDead = resolve;
      });
      const groupId = randomUUID();
      const source = kafkaSource({ client, brokers: kafka.addresses, groupId, topics: [topic], ...quick, onEvent: events.onEvent });
      const running = consuming(source, async () => {
        await dead;
        return done;
      });
      await running.until("the handlers run", () => running.handed.length === 5);
      await kafka.broker(1).kill("SIGKILL");
      isDead();
      await running.until("it cannot commit", () => events.of("source.commitFailed").length > 0);
      await kafka.broker(1).restart();
      const later = [make(), make()];
      await store(kafka.addresses, later);
      await running.until("what came later is handled", () => later.every(({ id }) => running.finished.includes(id)), 120_000);
      expect(running.failure()).toBeNull();
      for (const { id } of messages) expect(running.finished).toContain(id);
      await running.end();
      const next = consuming(kafkaSource({ client, brokers: kafka.addresses, groupId, topics: [topic], ...quick }));
      const last = make();
      await store(kafka.addresses, [last]);
      await next.until("the next one begins behind all that", () => next.finished.includes(last.id));
      await next.end();
      expect([...new Set(next.finished)]).toEqual([last.id]);
    } finally {
      await topics.close().catch(() => undefined);
      await kafka.stop();
    }
  });

  test("K8: a group that finds no coordinator ends consume with an error, after the rebuilds it was allowed", {
    timeout: 240_000,
  }, async () => {
    // The offsets' topic cannot be made: it wants three replicas, and there is one broker.
    const kafka = await startKafka({ settings: { "offsets.topic.replication.factor": "3" } });
    const topics = await topicsOf(kafka.url);
    try {
      const topic = await topics.create();
      const events = sourceEvents();
      const groupId = randomUUID();
      const source = kafkaSource({
        client,
        brokers: kafka.addresses,
        groupId,
        topics: [topic],
        ...quick,
        rebuildsMax: 2,
        onEvent: events.onEvent,
      });
      const running = consuming(source);
      await running.ended;
      expect(running.failure()).toMatchObject({ code: "WAYBILL_TRANSPORT", facts: { system: "kafka", reason: "coordinatorNotFound" } });
      expect(events.of("source.rebuilding").map(({ attempt }) => attempt)).toEqual([1, 2]);
    } finally {
      await topics.close();
      await kafka.stop();
    }
  });
});
