/** The consumer's defects of kafkajs, each made to happen on a real broker: what the source makes of them, and that it does as well on the client of the run. */
import { randomUUID } from "node:crypto";
import type { Delivery, OutgoingMessage, Settlement } from "@waybill/core";
import { type KafkaSourceOptions, kafkaSource } from "@waybill/kafka";
import { testBroker, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { client } from "./client-under-test.ts";
import { type Consuming, consuming, sourceEvents } from "./consuming.ts";
import { messagesOf } from "./sample-messages.ts";
import { type Sender, senderTo } from "./send-records.ts";
import { type Topics, topicsOf } from "./topics-of.ts";

let topics: Topics;
let sender: Sender;
beforeAll(async () => {
  topics = await topicsOf((await testBroker("kafka")).url);
  sender = await senderTo(topics.kafka);
}, 180_000);
afterAll(async () => {
  await sender?.close();
  await topics?.close();
});

/** The shortest that brokers allow unless told otherwise. */
const sessionTimeoutMs = 6_000;

const member = (groupId: string, topic: string, options: Partial<KafkaSourceOptions> = {}) =>
  kafkaSource({ client, brokers: topics.addresses, groupId, topics: [topic], sessionTimeoutMs, heartbeatMs: 1_000, ...options });

const done = { kind: "done" } as const;

/** A gate that handlers wait at. */
function gate(): { readonly passed: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

const ids = (messages: readonly { readonly id: string }[]): readonly string[] => messages.map(({ id }) => id);
const handedIds = (from: Consuming): readonly string[] => from.handed.map(({ message }) => message.id);

async function committed(groupId: string, topic: string): Promise<readonly bigint[]> {
  const admin = topics.kafka.admin();
  await admin.connect();
  try {
    const [of] = await admin.fetchOffsets({ groupId, topics: [topic] });
    return (of?.partitions ?? []).toSorted((one, other) => one.partition - other.partition).map(({ offset }) => BigInt(offset));
  } finally {
    await admin.disconnect();
  }
}

/** What retention does. */
async function deleteRecords(topic: string, below: number): Promise<void> {
  const admin = topics.kafka.admin();
  await admin.connect();
  await admin.fetchTopicOffsets(topic); // it knows no leaders otherwise
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(below) }] });
  await admin.disconnect();
}

test("K6: a handler twice as long as the session costs no membership, and holds up nobody", { timeout: 120_000 }, async () => {
  const topic = await topics.create({ partitions: 2 });
  const make = messagesOf(topic);
  const [slow, ...quick] = Array.from({ length: 21 }, (_, place) => make({ key: `k${place}` }));
  if (slow === undefined) throw new Error("there is a slow one");
  await sender.send(topic, [slow, ...quick], (_, place) => place % 2);
  const events = sourceEvents();
  const groupId = randomUUID();
  let quickDoneMs = 0;
  let slowDoneMs = 0;
  const running = consuming(member(groupId, topic, { onEvent: events.onEvent }), async ({ message }) => {
    if (message.id === slow.id) await new Promise((resolve) => setTimeout(resolve, 2 * sessionTimeoutMs + 500));
    if (message.id === slow.id) slowDoneMs = performance.now();
    else quickDoneMs = performance.now();
    return done;
  });
  await running.until("all are settled", () => running.finished.length >= 21);
  await running.end();
  expect(handedIds(running).toSorted()).toEqual(ids([slow, ...quick]).toSorted()); // each once
  expect(slowDoneMs - quickDoneMs).toBeGreaterThan(sessionTimeoutMs); // the others went by
  expect(events.of("source.joined")).toHaveLength(1);
  expect(events.of("source.rebalancing")).toHaveLength(0);
  expect(await committed(groupId, topic)).toEqual([11n, 10n]);
});

test("K11: while members come and go messages are repeated and none is lost, and first ones keep the order of their key", {
  timeout: 180_000,
}, async () => {
  const topic = await topics.create({ partitions: 3 });
  const make = messagesOf(topic);
  const groupId = randomUUID();
  const sent: OutgoingMessage[] = [];
  const handled = new Map<string, string[]>();
  const settle = async ({ message: { id, key } }: Delivery): Promise<Settlement> => {
    await new Promise((resolve) => setTimeout(resolve, 2));
    handled.set(key ?? "", [...(handled.get(key ?? "") ?? []), id]);
    return done;
  };
  const first = consuming(member(groupId, topic), settle);
  let isEnough = false;
  const sending = (async () => {
    while (!isEnough && first.failure() === null) {
      const some = Array.from({ length: 15 }, (_, place) => make({ key: `k${place}` }));
      sent.push(...some);
      await sender.send(topic, some, ({ key }) => Number(key?.slice(1)) % 3);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  await first.until("something is handled", () => first.finished.length > 0);
  for (let n = 0; n < 2; n += 1) {
    const others = [consuming(member(groupId, topic), settle), consuming(member(groupId, topic), settle)];
    for (const other of others) await other.until("the newcomer handles something", () => other.finished.length > 20);
    for (const other of others) await other.end();
  }
  isEnough = true;
  await sending;
  await first.until("all are handled", () => new Set([...handled.values()].flat()).size === sent.length);
  await first.end();
  for (const [key, order] of handled) {
    expect([...new Set(order)], `the order of ${key}`).toEqual(ids(sent.filter((message) => message.key === key)));
  }
});

test("K15: a partition that rested when another member came flows on after it has left", { timeout: 120_000 }, async () => {
  const topic = await topics.create({ partitions: 2 });
  const make = messagesOf(topic);
  const groupId = randomUUID();
  const events = sourceEvents();
  const barrier = gate();
  const large = Array.from({ length: 40 }, () => make({ payload: Buffer.alloc(150_000) }));
  await sender.send(topic, large, () => 0);
  const first = consuming(member(groupId, topic, { onEvent: events.onEvent }), async () => {
    await barrier.passed;
    return done;
  });
  // Nothing is settled, so partition 0 fills its buffer and rests.
  await first.until("it has what it may have at a time", () => first.handed.length >= 16);
  const second = consuming(member(groupId, topic));
  await first.until("the partitions are shared", () => events.of("source.joined").some(({ partitions }) => partitions === 1));
  await second.end();
  await first.until("all are its own again", () => events.of("source.joined").at(-1)?.partitions === 2);
  barrier.open();
  const later = [make(), make()];
  await sender.send(topic, later, (_, place) => place);
  const all = [...large, ...later];
  await first.until("everything is handled", () => all.every(({ id }) => first.finished.includes(id) || second.finished.includes(id)));
  expect(events.of("source.rebuilding")).toEqual([]);
  await first.end();
  expect(await committed(groupId, topic)).toEqual([41n, 1n]);
});

test("K16: messages that expired before the group came back are reported, and it goes on with those that are left", {
  timeout: 120_000,
}, async () => {
  const topic = await topics.create();
  const make = messagesOf(topic);
  const messages = Array.from({ length: 100 }, () => make());
  await sender.send(topic, messages);
  const groupId = randomUUID();
  const before = consuming(member(groupId, topic), ({ message }) =>
    ids(messages.slice(0, 20)).includes(message.id) ? done : { kind: "again", afterMs: 60_000 },
  );
  await before.until("twenty are settled", () => before.finished.length === 20);
  await before.end();
  expect(await committed(groupId, topic)).toEqual([20n]);

  await deleteRecords(topic, 80);
  const events = sourceEvents();
  const after = consuming(member(groupId, topic, { onEvent: events.onEvent }));
  await after.until("what is left is handled", () => after.finished.length === 20);
  await after.end();
  expect(after.finished).toEqual(ids(messages.slice(80)));
  expect(events.of("source.gapFound")).toEqual([
    { name: "source.gapFound", system: "kafka", group: groupId, topic, partition: 0, committed: 20n, low: 80n, high: 100n },
  ]);
  expect(await committed(groupId, topic)).toEqual([100n]);
});

test("K16: messages that expire under a member that lags are reported, too", { timeout: 120_000 }, async () => {
  const topic = await topics.create();
  const make = messagesOf(topic);
  const barrier = gate();
  const events = sourceEvents();
  const large = Array.from({ length: 60 }, () => make({ payload: Buffer.alloc(200_000) }));
  await sender.send(topic, large);
  const running = consuming(member(randomUUID(), topic, { onEvent: events.onEvent }), async () => {
    await barrier.passed;
    return done;
  });
  await running.until("it holds what it may", () => running.handed.length >= 10);
  await deleteRecords(topic, 55);
  barrier.open();
  await running.until("the last is handled", () => running.finished.includes(large.at(-1)?.id ?? ""));
  await running.end();
  const [gap] = events.of("source.gapFound");
  expect(events.of("source.gapFound")).toHaveLength(1);
  expect(gap).toMatchObject({ topic, partition: 0, low: 55n, high: 60n });
  // Everything below the gap that had been fetched was handled, and everything above it.
  const reached = Number(gap?.committed);
  expect(running.finished.toSorted()).toEqual([...ids(large.slice(0, reached)), ...ids(large.slice(55))].toSorted());
});

test("K16: a log that is shorter than the group's position is reported, and read from its beginning", { timeout: 120_000 }, async () => {
  const topic = await topics.create();
  const make = messagesOf(topic);
  const messages = [make(), make(), make()];
  await sender.send(topic, messages);
  const groupId = randomUUID();
  const admin = topics.kafka.admin();
  await admin.connect();
  await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: "1000" }] });
  await admin.disconnect();
  const events = sourceEvents();
  const running = consuming(member(groupId, topic, { onEvent: events.onEvent }));
  await running.until("all are handled", () => running.finished.length === 3);
  await running.end();
  expect(events.of("source.gapFound")).toMatchObject([{ committed: 1_000n, low: 0n, high: 3n }]);
  expect(await committed(groupId, topic)).toEqual([3n]);
});

test("K17: a partition whose handlers hang stops no other", { timeout: 120_000 }, async () => {
  const topic = await topics.create({ partitions: 2 });
  const make = messagesOf(topic);
  const barrier = gate();
  const blocked = Array.from({ length: 10 }, () => make({ key: "blocked" }));
  const flowing = Array.from({ length: 500 }, (_, place) => make({ key: `k${place % 7}` }));
  await sender.send(topic, blocked, () => 0);
  const groupId = randomUUID();
  const running = consuming(member(groupId, topic), async ({ message }) => {
    if (message.key === "blocked") await barrier.passed;
    return done;
  });
  await running.until("partition 0 hangs", () => running.handed.length > 0);
  await sender.send(topic, flowing, () => 1);
  await running.until("partition 1 flows", () => running.finished.length === flowing.length);
  await waitUntil(async () => (await committed(groupId, topic))[1] === 500n, { what: "partition 1 is committed", deadlineMs: 30_000 });
  expect((await committed(groupId, topic))[0]).toBe(-1n);
  barrier.open();
  await running.until("partition 0 goes on", () => running.finished.length === flowing.length + blocked.length);
  await running.end();
  expect(running.finished.slice(-10)).toEqual(ids(blocked));
});
