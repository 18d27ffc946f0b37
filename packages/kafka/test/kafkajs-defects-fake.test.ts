/**
 * What kafkajs 2.2.4 gets wrong and what becomes of it behind the transport, on brokers that can be told to fail. The names are the README's.
 * Whatever client the run is about must do as well.
 */
import { kafkaTransport } from "@waybill/kafka";
import { type FakeKafka, type FakeKafkaOptions, startFakeKafka } from "@waybill/testing";
import { Kafka, logLevel, type Producer } from "kafkajs";
import { afterEach, describe, expect, test, vi } from "vitest";
import { client, isKafkajs } from "./client-under-test.ts";
import { keyTo, messagesOf, publishUntilConfirmed, told } from "./sample-messages.ts";

const topic = "orders";
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const close of closers.splice(0).reverse()) await close();
});

async function fakeOf(options: FakeKafkaOptions): Promise<FakeKafka> {
  const fake = await startFakeKafka(options);
  closers.push(fake.stop);
  return fake;
}

function transportOn(fake: FakeKafka, options: Partial<Parameters<typeof kafkaTransport>[0]> = {}): ReturnType<typeof kafkaTransport> {
  const transport = kafkaTransport({ brokers: fake.addresses, client, ...options });
  closers.push(() => transport.close({ deadlineMs: 1_000 }));
  return transport;
}

/** kafkajs as its documentation has it, with its own retries unless told otherwise. */
async function bareProducer(fake: FakeKafka, retries = 5): Promise<Producer> {
  const kafka = new Kafka({ brokers: [...fake.addresses], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 20, retries } });
  const producer = kafka.producer({
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition ?? 0,
    allowAutoTopicCreation: false,
  });
  await producer.connect();
  closers.push(() => producer.disconnect());
  return producer;
}

function storedIds(fake: FakeKafka): readonly string[] {
  return fake.stored.flatMap(({ records }) => records.map(({ headers }) => headers.get("ce_id") ?? ""));
}

describe("K1: a leader moves between metadata and produce", () => {
  /** Partition 1 moves from node 1 to node 0 while the first send to it is on its way. */
  const moving = async (): Promise<FakeKafka> => {
    let hasMoved = false;
    const fake = await fakeOf({
      topics: { [topic]: [0, 1] },
      onProduce({ partition }) {
        if (partition === 1 && !hasMoved) {
          hasMoved = true;
          fake.setLeader(topic, 1, 0);
        }
        return "store";
      },
    });
    return fake;
  };

  test("kafkajs alone reports success for a partition it never wrote", async () => {
    const fake = await moving();
    const producer = await bareProducer(fake);
    const messages = [
      { partition: 0, value: "first" },
      { partition: 1, value: "second" },
    ];
    const resolved = await producer.send({ topic, messages });
    expect(resolved.map(({ errorCode }) => errorCode)).toEqual([0]);
    expect(fake.stored.map(({ partition }) => partition)).toEqual([0]);
  });

  test("the transport says unknown, publishes again, and both are in the log", async () => {
    const fake = await moving();
    const transport = transportOn(fake);
    const make = messagesOf(topic);
    const batch = [make({ key: keyTo(0, 2) }), make({ key: keyTo(1, 2) })];
    const outcomes = await transport.publish(batch, { deadlineMs: 10_000 });
    expect(outcomes.map(told)).toEqual(["confirmed", "unknown topic notLeaderOrFollower:6"]);
    expect(storedIds(fake)).toEqual([batch[0]?.id]);
    const again = await transport.publish(batch.slice(1), { deadlineMs: 10_000 });
    expect(again.map(told)).toEqual(["confirmed"]);
    expect(storedIds(fake)).toEqual(batch.map(({ id }) => id));
  });
});

test("K2: with lost replies and many calls at once, all that is confirmed is in the log", async () => {
  let requests = 0;
  let underWay = 0;
  let mostUnderWay = 0;
  const fake = await fakeOf({
    topics: { [topic]: [0] },
    async onProduce() {
      requests += 1;
      const isLost = requests % 4 === 0;
      underWay += 1;
      mostUnderWay = Math.max(mostUnderWay, underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay -= 1;
      return isLost ? { silent: true, stores: requests % 8 === 0 } : "store";
    },
  });
  const transport = transportOn(fake);
  const make = messagesOf(topic);
  const calls = Array.from({ length: 8 }, (_, call) => Array.from({ length: 20 }, () => make({ key: `key ${call}` })));
  await Promise.all(calls.map((batch) => publishUntilConfirmed(transport, batch, { callDeadlineMs: 400 })));
  expect(new Set(storedIds(fake))).toEqual(new Set(calls.flat().map(({ id }) => id)));
  expect(mostUnderWay).toBe(1);
  expect(new Set(fake.asked.map(({ producerId, acks }) => `${producerId} ${acks}`))).toEqual(new Set(["-1 -1"]));
});

test("K3: every message goes to the partition that was chosen for it, however often it is sent", async () => {
  let requests = 0;
  const fake = await fakeOf({
    topics: { [topic]: [0, 0, 0, 0] },
    onProduce: () => ((requests += 1) % 3 === 0 ? { code: 7, stores: true } : "store"),
  });
  const transport = transportOn(fake);
  const make = messagesOf(topic);
  const keys = [0, 1, 2, 3].map((partition) => keyTo(partition, 4));
  const batch = Array.from({ length: 40 }, (_, index) => make({ key: keys[index % 4] ?? null }));
  await publishUntilConfirmed(transport, batch);
  for (const { partition, records } of fake.asked) {
    for (const { key } of records) expect(key).toBe(keys[partition]);
  }
  // Keyless ones of one call share a partition, and the next call has the next one.
  const before = fake.asked.length;
  for (let call = 0; call < 4; call += 1) await publishUntilConfirmed(transport, [make(), make(), make()]);
  const keyless = fake.asked.slice(before);
  expect(new Set(keyless.map(({ partition }) => partition)).size).toBe(4);
});

test("K9: a host clock that jumps half a minute forward fails nothing that is under way", async () => {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const fake = await fakeOf({
    topics: { [topic]: [0] },
    onProduce: async (): Promise<"store"> => {
      await gate;
      return "store";
    },
  });
  const transport = transportOn(fake);
  const producer = await bareProducer(fake, 0);
  const ours = transport.publish([messagesOf(topic)()], { deadlineMs: 30_000 });
  const bare = producer.send({ topic, messages: [{ partition: 0, value: "x" }] });
  await vi.waitFor(() => expect(fake.asked.length).toBe(2), { timeout: 30_000 });
  const now = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => now() + 31_000);
  await expect(bare).rejects.toThrow(/timed out/);
  open();
  expect((await ours).map(told)).toEqual(["confirmed"]);
});

test("K9: a host clock that jumps back keeps no call beyond its deadline", async () => {
  let isSilent = false;
  const fake = await fakeOf({ topics: { [topic]: [0] }, onProduce: () => (isSilent ? { silent: true } : "store") });
  const transport = transportOn(fake);
  const make = messagesOf(topic);
  await publishUntilConfirmed(transport, [make()]); // so that the short deadline is about the answer
  isSilent = true;
  const call = transport.publish([make()], { deadlineMs: 2_000 });
  await vi.waitFor(() => expect(fake.asked.length).toBe(2), { timeout: 30_000 });
  const now = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => now() - 3_600_000);
  expect((await call).map(told)).toEqual(["unknown topic deadline"]);
});

test.runIf(isKafkajs)("K23: what the library is given never leaves: to a broker that knows no record batches nothing is sent", async () => {
  const fake = await fakeOf({ topics: { [topic]: [0] }, produceVersions: [0, 2] });
  const outcomes = await transportOn(fake).publish([messagesOf(topic)({ key: "a" })], { deadlineMs: 5_000 });
  expect(outcomes.map(told)).toEqual(["retry topic clientFailed"]);
  expect(fake.asked).toEqual([]);
});

test("K12: a partition that the client does not know yet is not sent, and said so", async () => {
  // Told of three partitions first; the producer's own metadata has two.
  let asks = 0;
  const fake = await fakeOf({
    topics: { [topic]: [0, 0], three: [0, 0, 0] },
    onMetadata: ({ topics }) => {
      if (topics.includes(topic)) asks += 1;
      fake.setPartitions(topic, asks <= (isKafkajs ? 2 : 1) ? 3 : 2);
    },
  });
  const transport = transportOn(fake);
  const message = messagesOf(topic)({ key: keyTo(2, 3) });
  const outcomes = await transport.publish([message], { deadlineMs: 10_000 });
  expect(outcomes.map(told)).toEqual(["retry topic partitionUnknown"]);
  expect(fake.asked).toEqual([]);
  await publishUntilConfirmed(transport, [message]);
  expect(storedIds(fake)).toEqual([message.id]);
});

test.runIf(isKafkajs)("K20: a broker pool that is wired wrong reports nothing as stored, and is replaced", async () => {
  const events: string[] = [];
  const fake = await fakeOf({ topics: { [topic]: [0], other: [1] } });
  fake.setAddress(1, 0); // both nodes at one address: the library takes one object for both
  const transport = transportOn(fake, { brokers: fake.addresses.slice(0, 1), onEvent: ({ name }) => events.push(name) });
  const producer = await bareProducer(fake);
  expect(await producer.send({ topic, messages: [{ partition: 0, value: "x" }] })).toEqual([]);

  const message = messagesOf(topic)();
  // The request that it makes names no partition, and does not leave.
  expect((await transport.publish([message], { deadlineMs: 10_000 })).map(told)).toEqual(["retry topic clientFailed"]);
  expect(events).toEqual(["kafka.producerReplaced"]);
  fake.setAddress(1, 1);
  expect((await transport.publish([message], { deadlineMs: 10_000 })).map(told)).toEqual(["confirmed"]);
  expect(await producer.send({ topic, messages: [{ partition: 0, value: "x" }] })).toEqual([]); // alone it stays so
  expect(storedIds(fake)).toEqual([message.id]);
});

test("a message that no record can be made of is rejected, and stops only what is behind it", async () => {
  const fake = await fakeOf({ topics: { [topic]: [0] } });
  const make = messagesOf(topic);
  const batch = [make({ key: "a" }), make({ key: "a", createdAtMs: Number.NaN }), make({ key: "a" }), make({ key: "b" }), make()];
  const outcomes = await transportOn(fake).publish(batch, { deadlineMs: 10_000 });
  expect(outcomes.map(told)).toEqual(["confirmed", "rejected recordInvalid", "retry message behindItsKey", "confirmed", "confirmed"]);
});

test("a name that no topic can have is rejected, and stops no other topic", async () => {
  const fake = await fakeOf({ topics: { [topic]: [0] } });
  const make = messagesOf(topic);
  // The first is longer than the protocol's texts may be, and kafkajs fails on it as on a broker that is gone.
  const none = { topic: "two words", key: "a" };
  const batch = [make({ topic: "x".repeat(40_000) }), make(), make(none), make(none)];
  const outcomes = await transportOn(fake).publish(batch, { deadlineMs: 10_000 });
  expect(outcomes.map(told)).toEqual(["rejected topicInvalid", "confirmed", "rejected topicInvalid", "retry message behindItsKey"]);
});

describe("K21: what each answer of a broker proves", () => {
  const table: readonly (readonly [code: number, outcome: string])[] = [
    [10, "rejected messageTooLarge:10"],
    [18, "rejected recordListTooLarge:18"],
    [87, "rejected invalidRecord:87"],
    [2, "retry message corruptMessage:2"],
    [19, "retry topic notEnoughReplicas:19"],
    [32, "retry topic invalidTimestamp:32"],
    [43, "retry topic unsupportedForMessageFormat:43"],
    [44, "retry topic policyViolation:44"],
    [74, "retry topic fencedLeaderEpoch:74"],
    [75, "retry topic unknownLeaderEpoch:75"],
    [76, "retry topic unsupportedCompressionType:76"],
    [6, "unknown topic notLeaderOrFollower:6"],
    [7, "unknown topic requestTimedOut:7"],
    [20, "unknown topic notEnoughReplicasAfterAppend:20"],
    [56, "unknown topic kafkaStorageError:56"],
    // Whether the leader itself said so, kafkajs cannot tell.
    [-1, isKafkajs ? "unknown topic ambiguous:-1" : "unknown topic unknownServerError:-1"],
    [3, isKafkajs ? "unknown topic ambiguous:3" : "unknown topic unknownTopicOrPartition:3"],
    [5, isKafkajs ? "unknown topic ambiguous:5" : "unknown topic leaderNotAvailable:5"],
    [29, isKafkajs ? "unknown topic ambiguous:29" : "unknown topic topicAuthorizationFailed:29"],
    [42, isKafkajs ? "unknown topic ambiguous:42" : "unknown topic refused:42"],
  ];
  test.each(table)("code %i is %s", async (code, outcome) => {
    const fake = await fakeOf({ topics: { [topic]: [0] }, onProduce: () => ({ code }) });
    const outcomes = await transportOn(fake).publish([messagesOf(topic)({ key: "a" })], { deadlineMs: 10_000 });
    expect(outcomes.map(told)).toEqual([outcome]);
  });

  test("an answer that leaves the partition out proves nothing", async () => {
    const fake = await fakeOf({ topics: { [topic]: [0] }, onProduce: () => ({ leftOut: true }) });
    const outcomes = await transportOn(fake).publish([messagesOf(topic)()], { deadlineMs: 10_000 });
    expect(outcomes.map(told)).toEqual(["unknown topic partitionMissing"]);
  });

  test("what is behind its key in a record batch that nobody answered may be stored, too; what was not sent is not", async () => {
    const fake = await fakeOf({ topics: { [topic]: [0] }, onProduce: () => ({ silent: true, stores: true }) });
    const make = messagesOf(topic);
    const together = [make({ key: "a" }), make({ key: "a" }), make({ key: "b" })];
    const nextSend = make({ key: "a", payload: Buffer.alloc(600_000) });
    const outcomes = await transportOn(fake).publish([...together, nextSend], { deadlineMs: 500 });
    const unknown = "unknown topic deadline";
    expect(outcomes.map(told)).toEqual([unknown, unknown, unknown, "retry message behindItsKey"]);
    expect(fake.stored.flatMap(({ records }) => records)).toHaveLength(3);
  });

  test("when no partition of a call answers, everything waits", async () => {
    const fake = await fakeOf({ topics: { [topic]: [0, 0] }, onProduce: () => ({ silent: true }) });
    const make = messagesOf(topic);
    const batch = [make({ key: keyTo(0, 2) }), make({ key: keyTo(1, 2) })];
    const outcomes = await transportOn(fake).publish(batch, { deadlineMs: 500 });
    expect(outcomes.map(told)).toEqual(["unknown transport deadline", "unknown transport deadline"]);
  });
});
