/**
 * What kafkajs 2.2.4 gets wrong and what becomes of it behind the transport, on a real broker. The names are the README's. Whatever client
 * the run is about must do as well as the transport over kafkajs does.
 */
import { type OutgoingMessage, type WaybillEvent } from "@waybill/core";
import { idleTimerState, kafkaTransport } from "@waybill/kafka";
import { freePort, startChild, startFaultProxy, startKafka, testBroker, waitUntil } from "@waybill/testing";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { client, isKafkajs } from "./client-under-test.ts";
import { keyTo, messagesOf, publishUntilConfirmed, told } from "./sample-messages.ts";
import { type Topics, topicsOf } from "./topics-of.ts";

let topics: Topics;
const closers: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  topics = await topicsOf((await testBroker("kafka")).url);
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(() => topics?.close());

function transportTo(brokers: readonly string[], onEvent?: (event: WaybillEvent) => void): ReturnType<typeof kafkaTransport> {
  const transport = kafkaTransport({ brokers, client, ...(onEvent === undefined ? {} : { onEvent }) });
  closers.push(() => transport.close({ deadlineMs: 5_000 }));
  return transport;
}

/** A broker that says it lives at a proxy, and the proxy. */
async function proxiedBroker(): Promise<{ readonly proxy: Awaited<ReturnType<typeof startFaultProxy>>; readonly direct: Topics }> {
  const port = await freePort();
  const kafka = await startKafka({
    settings: ({ port: own, controllerPort }) => ({
      listeners: `PLAINTEXT://127.0.0.1:${own},CONTROLLER://127.0.0.1:${controllerPort}`,
      "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
    }),
  });
  closers.push(() => kafka.stop());
  const proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: kafka.brokers[0]?.port ?? 0 }, port });
  closers.push(() => proxy.stop());
  const direct = await topicsOf(`kafka://127.0.0.1:${port}`);
  closers.push(() => direct.close());
  return { proxy, direct };
}

/** Ids in the order in which each first appears, of one key. */
function firstsOf(ids: readonly string[], of: readonly OutgoingMessage[]): readonly string[] {
  const wanted = new Set(of.map(({ id }) => id));
  return [...new Set(ids)].filter((id) => wanted.has(id));
}

test("K4: whatever fails in between, first publications of a key keep their order", { timeout: 180_000 }, async () => {
  const { proxy, direct } = await proxiedBroker();
  const topic = await direct.create({ partitions: 3 });
  const transport = transportTo(direct.addresses);
  const make = messagesOf(topic);
  const keys = ["a", "b", "c", "d", "e", "f"];
  const messages = Array.from({ length: 240 }, (_, index) => make({ key: keys[index % keys.length] ?? null }));
  const faults = [
    proxy.inject({ kind: "cut", at: "beforeReply", pattern: "kafka.sample.v1", probability: 0.04, seed: 1, times: 1_000 }),
    proxy.inject({ kind: "cut", at: "beforeRequest", pattern: "kafka.sample.v1", probability: 0.04, seed: 2, times: 1_000 }),
  ];
  for (let from = 0; from < messages.length; from += 12) await publishUntilConfirmed(transport, messages.slice(from, from + 12));
  for (const fault of faults) expect(fault.fired).toBeGreaterThan(0);
  proxy.heal();
  const ids = (await direct.read(topic)).map(({ message }) => message.id);
  for (const key of keys) {
    const ofKey = messages.filter((message) => message.key === key);
    expect(firstsOf(ids, ofKey)).toEqual(ofKey.map(({ id }) => id));
  }
});

test("K5: a close in the middle of a send ends by its deadline, and nothing is written after it", { timeout: 180_000 }, async () => {
  const { proxy, direct } = await proxiedBroker();
  const topic = await direct.create();
  const make = messagesOf(topic);
  const others = proxy.connections;
  for (let round = 0; round < 10; round += 1) {
    const transport = kafkaTransport({ brokers: direct.addresses, client });
    await publishUntilConfirmed(transport, [make()]);
    // Even rounds: the request is on its way. Odd ones: it has nowhere to go yet.
    const hole = proxy.inject(round % 2 === 0 ? { kind: "swallowReplies", pattern: "kafka.sample.v1" } : { kind: "blackHole" });
    const call = transport.publish([make({ payload: Buffer.from("late") })], { deadlineMs: 60_000 });
    await waitUntil(() => hole.fired > 0, { what: "the send meets the fault", deadlineMs: 30_000 });
    const startedAt = performance.now();
    await transport.close({ deadlineMs: 100 });
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(["unknown", "retry"]).toContain((await call)[0]?.kind);
    hole.lift();
    await waitUntil(() => proxy.connections <= others, { what: "its connections are closed", deadlineMs: 30_000 });
  }
  // What the broker had read before the close may be there, as `unknown` says; from now on the log does not grow.
  const before = (await direct.read(topic)).length;
  expect(before).toBeGreaterThanOrEqual(10);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect((await direct.read(topic)).length).toBe(before);
});

const terminations = process.env["WAYBILL_TEST_ALL"] === "1" ? 50 : 8;

test(`K5: ${terminations} processes that are told to stop in the middle of sends do so, and lose nothing they called confirmed`, {
  timeout: 30_000 + terminations * 10_000,
}, async () => {
  const topic = await topics.create({ partitions: 3 });
  const confirmed: string[] = [];
  const publish = async (): Promise<void> => {
    const child = await startChild(new URL("../dist-programs/test/publishing.child.js", import.meta.url), {
      env: { BROKERS: topics.addresses.join(","), TOPIC: topic, CLIENT: client },
    });
    await child.waitFor((event) => event["name"] === "confirmed", { deadlineMs: 30_000 });
    child.kill("SIGTERM");
    expect(await child.exited, child.output()).toMatchObject({ code: 0 });
    for (const event of child.events) if (event["name"] === "confirmed") confirmed.push(...(event["ids"] as string[]));
  };
  for (let round = 0; round < terminations; round += 1) await publish();
  const stored = new Set((await topics.read(topic)).map(({ message }) => message.id));
  expect(confirmed.length).toBeGreaterThan(terminations);
  expect(confirmed.filter((id) => !stored.has(id))).toEqual([]);
});

test("K10: of a hundred messages the one that is too large is rejected, and 99 are published", async () => {
  const topic = await topics.create({ settings: { "max.message.bytes": "20000" } });
  const make = messagesOf(topic);
  const batch = Array.from({ length: 100 }, (_, index) =>
    make({ key: `key ${index % 10}`, payload: index === 57 ? Buffer.alloc(25_000, "x") : Buffer.from("small") }),
  );
  const transport = transportTo(topics.addresses);
  const outcomes = await transport.publish(batch, { deadlineMs: 30_000 });
  expect(told(outcomes[57])).toBe("rejected messageTooLarge:10");
  const behind = batch.filter(({ key }, index) => index > 57 && key === batch[57]?.key);
  const left = batch.filter((_, index) => outcomes[index]?.kind === "retry");
  expect(left).toEqual(behind);
  await publishUntilConfirmed(transport, left);
  const stored = (await topics.read(topic)).map(({ message }) => message.id);
  expect([...stored].sort()).toEqual(batch.flatMap(({ id }, index) => (index === 57 ? [] : [id])).sort());
});

test("K12: kafkajs alone reports success for a partition it does not know", async () => {
  const topic = await topics.create({ partitions: 2 });
  const producer = new Kafka({ brokers: [...topics.addresses], logLevel: logLevel.NOTHING }).producer({
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition ?? 0,
  });
  await producer.connect();
  closers.push(() => producer.disconnect());
  await producer.send({ topic, messages: [{ partition: 0, value: "x" }] });
  await topics.addPartitions(topic, 4);
  expect(await producer.send({ topic, messages: [{ partition: 3, value: "y" }] })).toEqual([]);
});

test("K12: partitions that are added under load lose nothing", { timeout: 120_000 }, async () => {
  const topic = await topics.create({ partitions: 2 });
  let nowMs = 0;
  const events: WaybillEvent[] = [];
  // Partitions are asked for every minute; here a minute passes when we say so.
  const clock = {
    monotonicMs: () => performance.now() + nowMs,
    wallMs: () => Date.now(),
    setTimer: (afterMs: number, callback: () => void) => {
      const timer = setTimeout(callback, afterMs);
      return { cancel: () => clearTimeout(timer) };
    },
  };
  const transport = kafkaTransport({ brokers: topics.addresses, client, clock, onEvent: (event) => events.push(event) });
  closers.push(() => transport.close({ deadlineMs: 5_000 }));
  const make = messagesOf(topic);
  const sent: OutgoingMessage[] = [];
  const produce = async (lane: number): Promise<void> => {
    for (let call = 0; call < 60; call += 1) {
      const batch = Array.from({ length: 20 }, (_, index) => make({ key: `key ${lane}-${index}` }));
      sent.push(...batch);
      await publishUntilConfirmed(transport, batch);
      if (lane === 0 && call === 20) {
        await topics.addPartitions(topic, 6);
        await waitUntil(async () => (await topics.states(topic)).length === 6, { what: "brokers tell of them", deadlineMs: 30_000 });
        nowMs += 61_000;
      }
    }
  };
  await Promise.all([0, 1, 2].map(produce));
  const stored = await topics.read(topic);
  const ids = new Set(stored.map(({ message }) => message.id));
  expect(sent.filter(({ id }) => !ids.has(id))).toEqual([]);
  expect(new Set(stored.map(({ partition }) => partition)).size).toBe(6);
  expect(events.filter(({ name }) => name === "kafka.partitionsChanged")).toEqual([
    { name: "kafka.partitionsChanged", topic, from: 2, to: 6 },
  ]);
});

test("K13: a topic that is deleted while it is published to stops no other", { timeout: 120_000 }, async () => {
  const [kept, deleted] = [await topics.create(), await topics.create()];
  const transport = transportTo(topics.addresses);
  const [keep, drop] = [messagesOf(kept), messagesOf(deleted)];
  const both = (): readonly OutgoingMessage[] => [keep({ key: "a" }), drop({ key: "a" })];
  expect((await transport.publish(both(), { deadlineMs: 10_000 })).map(told)).toEqual(["confirmed", "confirmed"]);
  await topics.remove(deleted);
  const seen = new Set<string>();
  await waitUntil(
    async () => {
      const [ofKept, ofDeleted] = await transport.publish(both(), { deadlineMs: 10_000 });
      expect(told(ofKept)).toBe("confirmed");
      seen.add(told(ofDeleted));
      return told(ofDeleted) === "retry topic unknownTopicOrPartition:3";
    },
    { what: "the deleted topic is told to be missing", deadlineMs: 60_000, intervalMs: 20 },
  );
  // Made again, it is found again: nobody remembers that it was missing for more than 5 s.
  await topics.create({ name: deleted });
  const message = drop({ key: "a" });
  await publishUntilConfirmed(transport, [message]);
  expect((await topics.read(deleted)).at(-1)?.message.id).toBe(message.id);
});

test("K14: a host clock two hours ahead changes neither the record's time nor the outcome", async () => {
  const topic = await topics.create();
  const now = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => now() + 7_200_000);
  const producer = new Kafka({ brokers: [...topics.addresses], logLevel: logLevel.NOTHING }).producer({ retry: { retries: 0 } });
  await producer.connect();
  closers.push(() => producer.disconnect());
  await expect(producer.send({ topic, messages: [{ value: "x" }] })).rejects.toThrow(/timestamp/);

  const message = messagesOf(topic)({ createdAtMs: now() - 5_000 });
  expect((await transportTo(topics.addresses).publish([message], { deadlineMs: 10_000 })).map(told)).toEqual(["confirmed"]);
  vi.restoreAllMocks();
  expect((await topics.read(topic)).map(({ timestampMs }) => timestampMs)).toEqual([message.createdAtMs]);
});

test("K14: a database clock two hours ahead delays its messages and gives none up", async () => {
  const topic = await topics.create();
  const message = messagesOf(topic)({ createdAtMs: Date.now() + 7_200_000 });
  const outcomes = await transportTo(topics.addresses).publish([message], { deadlineMs: 10_000 });
  expect(outcomes.map(told)).toEqual(["retry topic invalidTimestamp:32"]);
});

test("K19: an idle transport runs no timers", async () => {
  const topic = await topics.create();
  const transport = transportTo(topics.addresses);
  await publishUntilConfirmed(transport, [messagesOf(topic)({ key: keyTo(0, 1) })]);
  if (!isKafkajs) {
    // The test's own admin is kafkajs, whose timers a transport over it takes out.
    const patching = kafkaTransport({ brokers: topics.addresses });
    await publishUntilConfirmed(patching, [messagesOf(topic)()]);
    await patching.close({ deadlineMs: 5_000 });
  }
  expect(idleTimerState()).toBe("patched");
  const set = vi.spyOn(globalThis, "setTimeout");
  await new Promise((resolve) => setImmediate(resolve));
  const before = set.mock.calls.length;
  const until = performance.now() + 1_000;
  while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
  expect(set.mock.calls.length - before).toBe(0);
});
