import { type ReceivedMessage, type Settlement, secret, type WaybillEvent } from "@waybill/core";
import { testBroker, testName, waitUntil } from "@waybill/testing";
import { connect } from "amqplib";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type RabbitmqQueue, type RabbitmqSourceOptions, rabbitmqSource, rabbitmqTransport, topicQueues } from "../src/index.ts";
import { type ConsumerFixture, consumerFixture, faultless, placed, placedOf, verdict } from "./consumer-fixture.ts";
import { queueFixture } from "./queue-fixture.ts";

const { url } = await testBroker("rabbitmq");
const done: Settlement = { kind: "done" };

let database: ConsumerFixture;
const open = new Set<() => Promise<unknown>>();
beforeAll(async () => {
  database = await consumerFixture();
});
afterEach(async () => {
  for (const close of [...open].toReversed()) await close();
  open.clear();
  await database.clear();
});
afterAll(() => database.close());

const queueOf = async (over: Partial<RabbitmqQueue> = {}) => {
  const made = await queueFixture(url, over);
  open.add(() => made.close());
  return made;
};
/** Consumes until it is told to end; what it ended with. */
const consume = (options: Omit<RabbitmqSourceOptions, "url"> & { readonly url?: string }) => {
  const received: ReceivedMessage[] = [];
  const events: WaybillEvent[] = [];
  const stop = new AbortController();
  const source = rabbitmqSource({ url, onEvent: (event) => void events.push(event), ...options });
  const outcome = source
    .consume(
      async (batch) =>
        batch.map(({ message }) => {
          received.push(message);
          return done;
        }),
      { signal: stop.signal },
    )
    .then(
      () => null,
      (error: unknown) => error,
    );
  const end = (): Promise<unknown> => {
    stop.abort();
    return outcome;
  };
  open.add(end);
  return { received, events, outcome, end };
};
const removeAfterwards = (queues: readonly RabbitmqQueue[], exchanges: readonly string[]): void => {
  open.add(async () => {
    const connection = await connect(url);
    const channel = await connection.createChannel();
    for (const { name } of queues) await channel.deleteQueue(name);
    for (const name of exchanges) await channel.deleteExchange(name);
    await connection.close();
  });
};

test("four partitions have a queue each, two processes share them, and every key keeps its order from the transport to its effects", async () => {
  const topic = testName("orders");
  const queues = topicQueues({ consumer: "inventory", topics: [topic], partitions: 4 });
  removeAfterwards(queues, [topic]);
  const halves = [queues.slice(0, 2), queues.slice(2)].map((share) =>
    database.consume((onEvent) => rabbitmqSource({ url, queues: share, onEvent })),
  );
  for (const half of halves) {
    open.add(() => half.stop());
    await waitUntil(() => half.count("source.joined") === 2, { what: "both queues are consumed", deadlineMs: 30_000 });
  }
  const transport = rabbitmqTransport({ url, partitions: 4 });
  open.add(() => transport.close({ deadlineMs: 2_000 }));
  const messages = placedOf(300, 24).map((message) => ({ ...message, topic }));
  for (let left = [...messages]; left.length > 0; ) {
    const outcomes = await transport.publish(left, { deadlineMs: 20_000 });
    left = left.filter((_, place) => outcomes[place]?.kind !== "confirmed");
  }
  await database.untilEffects(messages.length);
  expect(verdict(await database.effects(), messages)).toEqual(faultless);
  expect(halves.map((half) => half.count("inbox.committed") > 0)).toEqual([true, true]);
});

test("what other publishers put into a queue arrives, and what cannot be a message becomes a dead letter", async () => {
  const fixture = await queueOf();
  const consuming = database.consume((onEvent) => rabbitmqSource({ url, queues: [fixture.queue], onEvent }));
  open.add(() => consuming.stop());
  await fixture.publishForeign(Buffer.from('{"n":1}'), {
    messageId: "plain",
    type: "shop.placed.v1",
    headers: { "X-Tenant": "t", tries: 3 },
  });
  await fixture.publishForeign(Buffer.from('{"n":2}'), {
    headers: {
      "cloudEvents:specversion": "1.0",
      "cloudEvents:id": "colon",
      "cloudEvents:type": "shop.placed.v1",
      "cloudEvents:source": "/x",
    },
  });
  await fixture.publishForeign(Buffer.from([0, 255, 1]), {
    headers: { cloudEvents_specversion: "1.0", cloudEvents_partitionkey: "\u0000", nested: { a: [1, null] } },
  });
  await fixture.publishForeign(Buffer.alloc(0), { messageId: "stranger", type: "nobody.knows.v1" });
  await waitUntil(async () => (await database.effects()).length === 2 && (await database.letters()).length === 2, {
    what: "all four are settled",
    deadlineMs: 30_000,
  });
  expect([...(await database.effects())].sort()).toEqual(["colon", "plain"]);
  const letters = [...(await database.letters())].sort();
  expect(letters[0]).toBe("stranger dead unknownType");
  expect(letters[1]).toMatch(/^unusable-id:.* dead messageIdInvalid$/);
});

test("a source that may not come in says so at once, and not with what", async () => {
  const { queue } = await queueOf();
  const wrongPassword = consume({ queues: [queue], password: secret("hunter2") });
  const error = await wrongPassword.outcome;
  expect(error).toMatchObject({ code: "WAYBILL_TRANSPORT", facts: { system: "rabbitmq", reason: "accessRefused" } });
  expect(JSON.stringify([error, String(error), wrongPassword.events])).not.toContain("hunter2");
  const wrongVhost = new URL(url);
  wrongVhost.pathname = "/nowhere";
  expect(await consume({ url: wrongVhost.href, queues: [queue] }).outcome).toMatchObject({
    code: "WAYBILL_TRANSPORT",
    facts: { reason: "vhostRefused" },
  });
});

test("a broker that is away is waited for, and a stop ends the wait", async () => {
  const away = consume({ url: "amqp://127.0.0.1:1", queues: [{ name: "q" }] });
  await waitUntil(() => away.events.filter(({ name }) => name === "rabbitmq.connectFailed").length >= 2, { what: "it has tried twice" });
  expect(await away.end()).toBe(null);
  expect(away.events.at(-1)).toMatchObject({ name: "source.stopped" });
});

test("a queue that is missing, or declared differently, ends consume with an error that names what differs", async () => {
  const missing = testName("missing");
  expect(await consume({ queues: [{ name: missing }], topology: "check" }).outcome).toMatchObject({
    code: "WAYBILL_TOPOLOGY",
    facts: { what: "queue", name: missing, brokerCode: "404" },
  });
  expect(await consume({ queues: [{ name: missing }], topology: "none" }).outcome).toMatchObject({
    code: "WAYBILL_TRANSPORT",
    facts: { brokerCode: "404" },
  });
  const fixture = await queueOf();
  await fixture.declareForeign({ "x-delivery-limit": 5, "x-single-active-consumer": true });
  expect(await consume({ queues: [fixture.queue] }).outcome).toMatchObject({
    code: "WAYBILL_TOPOLOGY",
    facts: { name: fixture.queue.name, argument: "x-delivery-limit", brokerCode: "406" },
  });
});

test("one queue that cannot be consumed ends the whole source, and what its neighbours hold goes back", async () => {
  const fixture = await queueOf();
  await fixture.publish([placed(0)]);
  const both = consume({ queues: [fixture.queue, { name: testName("missing") }], topology: "check" });
  expect(await both.outcome).toMatchObject({ code: "WAYBILL_TOPOLOGY" });
  await waitUntil(async () => (await fixture.ready()) + both.received.length === 1, { what: "the message is settled or back" });
});

test("options that cannot work are refused together, and a source is consumed once at a time", async () => {
  expect(() =>
    rabbitmqSource({
      url: "http://x",
      heartbeatSeconds: 0,
      queues: [
        { name: "a", messageTtlMs: 5 },
        { name: "a", deliveryLimit: -1 },
      ],
      prefetch: 0,
      topology: "delete" as "none",
    }),
  ).toThrow(/url.*heartbeatSeconds.*queues\.a\.messageTtlMs.*queues\.a\.name.*queues\.a\.deliveryLimit.*topology.*prefetch/);
  expect(() => rabbitmqSource({ url, queues: [] })).toThrow(/queues/);
  const { queue } = await queueOf();
  const source = rabbitmqSource({ url, queues: [queue] });
  const stop = new AbortController();
  const first = source.consume(() => Promise.resolve([done]), { signal: stop.signal });
  await expect(source.consume(() => Promise.resolve([done]), { signal: stop.signal })).rejects.toMatchObject({
    code: "WAYBILL_CONFIG_INVALID",
  });
  stop.abort();
  await first;
  // It may be consumed again then.
  await source.consume(() => Promise.resolve([done]), { signal: AbortSignal.abort() });
});
