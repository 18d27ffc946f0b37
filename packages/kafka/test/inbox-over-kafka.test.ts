/**
 * Source and inbox together, on PostgreSQL: whatever is killed – the consumer at its events, the broker – each message has one effect, those
 * of a key in the order of the log, and nothing is lost.
 */
import { randomUUID } from "node:crypto";
import { catalogue, message, newMessageId, type OutgoingMessage, type WaybillEvent } from "@waybill/core";
import { deadLetterMigrations } from "@waybill/dead-letter";
import { createInbox, inboxMigrations } from "@waybill/inbox";
import { kafkaSource, kafkaTransport } from "@waybill/kafka";
import { type Database, migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import { type Child, type StartedKafka, startChild, startKafka, type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { client } from "./client-under-test.ts";
import { publishUntilConfirmed } from "./sample-messages.ts";
import { type Topics, topicsOf } from "./topics-of.ts";

const program = new URL("../dist-programs/test/crash/consumer.child.js", import.meta.url);
const shop = catalogue({
  source: "/order-service",
  placed: message<{ readonly n: number }>({ type: "shop.placed.v1", topic: "orders" }),
});

let kafka: StartedKafka;
let topics: Topics;
let place: TestDatabase;
let database: Database;
beforeAll(async () => {
  // A member that was killed is missed after two seconds.
  kafka = await startKafka({ settings: { "group.min.session.timeout.ms": "1000" } });
  topics = await topicsOf(kafka.url);
  place = await testDatabase();
  database = openDatabase({ url: place.url, connections: 12 });
  await migrateUp(database, namespace("postgres"), [sqlMigrations, deadLetterMigrations, inboxMigrations]);
  await database.query("create table effect (id bigint generated always as identity, message_id text not null)", []);
}, 180_000);
afterAll(async () => {
  await database?.close();
  await place?.drop();
  await topics?.close().catch(() => undefined);
  await kafka?.stop();
});
beforeEach(async () => {
  await database.query("truncate effect, waybill_inbox, waybill_inbox_attempt, waybill_dead_letter, waybill_audit", []);
});

let sequence = 0n;

/** As a relay publishes it. */
function placed(topic: string, key: number | null, id: string = newMessageId()): OutgoingMessage {
  sequence += 1n;
  const made = shop.placed({ n: Number(sequence) });
  return {
    id,
    type: made.type,
    topic,
    key: key === null ? null : `k${key}`,
    headers: made.headers,
    payload: Buffer.from(made.payload as string),
    sequence,
    createdAtMs: Date.now(),
  };
}

async function publish(messages: readonly OutgoingMessage[]): Promise<void> {
  const transport = kafkaTransport({ client, brokers: kafka.addresses });
  try {
    await publishUntilConfirmed(transport, messages, { withinMs: 90_000 });
  } finally {
    await transport.close({ deadlineMs: 1_000 });
  }
}

async function effects(): Promise<readonly string[]> {
  const rows = await database.query("select message_id from effect order by id", []);
  return rows.map((row) => row["message_id"] as string);
}

async function untilEffects(count: number): Promise<void> {
  await waitUntil(async () => (await effects()).length >= count, { what: `${count} effects`, deadlineMs: 120_000, intervalMs: 50 });
}

/** Each message once, and those of a key in the order in which they were published. */
async function expectFaultless(messages: readonly OutgoingMessage[]): Promise<void> {
  const found = await effects();
  expect(found.toSorted(), "each once").toEqual(messages.map(({ id }) => id).toSorted());
  for (const key of new Set(messages.map((one) => one.key))) {
    if (key === null) continue;
    const wanted = messages.filter((one) => one.key === key).map(({ id }) => id);
    expect(
      found.filter((id) => wanted.includes(id)),
      `the order of ${key}`,
    ).toEqual(wanted);
  }
}

/** How many records the group has not settled. */
async function lag(group: string, topic: string): Promise<number> {
  const admin = topics.kafka.admin();
  await admin.connect();
  try {
    const ends = await admin.fetchTopicOffsets(topic);
    const [at] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
    return ends.reduce((sum, { partition, high }) => {
      const offset = Number(at?.partitions.find((one) => one.partition === partition)?.offset ?? -1);
      return sum + Number(high) - Math.max(0, offset);
    }, 0);
  } finally {
    await admin.disconnect();
  }
}

const kills: readonly (readonly [name: WaybillEvent["name"], nth: number])[] = [
  ["source.joined", 1],
  ["inbox.received", 3],
  ["inbox.attemptStarted", 3],
  ["inbox.handling", 3],
  ["inbox.committing", 3],
  ["inbox.committed", 1],
  ["inbox.committed", 5],
  ["inbox.settling", 2],
  ["inbox.retrying", 1],
  ["inbox.deadLettered", 1],
  ["inbox.draining", 1],
  ["source.stopped", 1],
];
const whileStopping: ReadonlySet<string> = new Set(["inbox.draining", "source.stopped"]);

describe("a consumer killed at any event leaves one effect of each message, each key in order, and nothing unread", () => {
  test.each(kills)("%s, number %i", { timeout: 240_000 }, async (name, nth) => {
    const topic = await topics.create({ partitions: 2 });
    const group = randomUUID();
    const start = (env: Readonly<Record<string, string>>): Promise<Child> =>
      startChild(program, {
        env: { DATABASE_URL: place.url, BROKERS: kafka.addresses.join(","), CLIENT: client, GROUP: group, TOPIC: topic, ...env },
      });
    const messages = [
      ...Array.from({ length: 8 }, (_, n) => placed(topic, n % 3)),
      placed(topic, 4, `fails ${randomUUID()}`),
      placed(topic, 4),
      placed(topic, null),
    ];
    await publish([...messages, placed(topic, null, `rejected ${randomUUID()}`)]);

    const killed = await start({ KILL_AT: name, KILL_NTH: String(nth), ...(whileStopping.has(name) ? { STOP_AFTER: "4" } : {}) });
    expect(await killed.exited, killed.output()).toMatchObject({ signal: "SIGKILL" }); // a kill that never came proves nothing

    const child = await start({});
    await untilEffects(messages.length);
    await waitUntil(async () => (await lag(group, topic)) === 0, { what: "everything is committed", deadlineMs: 120_000, intervalMs: 100 });
    child.tell("stop");
    expect(await child.exited, child.output()).toEqual({ code: 0, signal: null }); // by itself: nothing of the client keeps it
    await expectFaultless(messages);
    const letters = await database.query("select message_id, reason from waybill_dead_letter", []);
    expect(letters).toMatchObject([{ reason: "not wanted" }]);
    expect(await database.query("select 1 from waybill_inbox_attempt", [])).toEqual([]);
  });
});

test("a broker killed three times under two members, one of which leaves, costs nothing", { timeout: 400_000 }, async () => {
  const topic = await topics.create({ partitions: 4 });
  const group = randomUUID();
  const join = () => {
    const events: WaybillEvent[] = [];
    const onEvent = (event: WaybillEvent): void => void events.push(event);
    const inbox = createInbox({ consumer: "c", database, concurrency: 4, backoff: { firstMs: 5, maxMs: 50 }, onEvent });
    inbox.on(shop.placed, async ({ id }, tx) => {
      await tx.query("insert into effect (message_id) values ($1)", [id]);
    });
    const times = { sessionTimeoutMs: 6_000, heartbeatMs: 500, rebalanceTimeoutMs: 6_000, silenceMs: 10_000 };
    const source = kafkaSource({ client, brokers: kafka.addresses, groupId: group, topics: [topic], ...times, onEvent });
    const stop = new AbortController();
    const run = inbox.run(source, { signal: stop.signal });
    run.catch(() => undefined);
    return {
      events,
      async leave() {
        stop.abort();
        await run;
        await inbox.close();
      },
    };
  };
  const [first, second] = [join(), join()];
  const messages: OutgoingMessage[] = [];
  const publishSome = async (count: number): Promise<void> => {
    const some = Array.from({ length: count }, (_, n) => placed(topic, n % 20));
    await publish(some);
    messages.push(...some);
  };
  await publishSome(200);
  for (let round = 0; round < 3; round += 1) {
    const seen = (await effects()).length;
    await waitUntil(async () => (await effects()).length > seen || (await effects()).length === messages.length, {
      what: "something moves",
      deadlineMs: 60_000,
    });
    await kafka.broker(1).kill("SIGKILL");
    await kafka.broker(1).restart();
    await publishSome(200);
    if (round === 1) await second.leave();
  }
  await untilEffects(messages.length);
  await waitUntil(async () => (await lag(group, topic)) === 0, { what: "everything is committed", deadlineMs: 120_000, intervalMs: 200 });
  await first.leave();
  await expectFaultless(messages);
  expect(first.events.map(({ name }) => name)).toContain("source.rebuilding"); // the faults were felt
  expect(first.events.map(({ name }) => name)).not.toContain("source.gapFound");
});

test("a stranger's record becomes a dead letter, and those behind it are handled", { timeout: 120_000 }, async () => {
  const topic = await topics.create();
  const producer = topics.kafka.producer({ allowAutoTopicCreation: false });
  await producer.connect();
  await producer.send({
    topic,
    messages: [
      { key: "k", value: "no envelope" },
      { key: null, value: null, headers: { constructor: "x" } },
    ],
  });
  await producer.disconnect();
  const behind = placed(topic, 1);
  await publish([behind]);
  const inbox = createInbox({ consumer: "c", database });
  inbox.on(shop.placed, async ({ id }, tx) => {
    await tx.query("insert into effect (message_id) values ($1)", [id]);
  });
  const stop = new AbortController();
  const run = inbox.run(kafkaSource({ client, brokers: kafka.addresses, groupId: randomUUID(), topics: [topic] }), { signal: stop.signal });
  await untilEffects(1);
  await waitUntil(async () => (await database.query("select 1 from waybill_dead_letter", [])).length === 2, { what: "both are put aside" });
  stop.abort();
  await run;
  await inbox.close();
  await expectFaultless([behind]);
  const letters = await database.query("select reason, topic, key, payload from waybill_dead_letter order by key nulls last", []);
  expect(letters).toMatchObject([
    { reason: "messageIdInvalid", topic, key: "k" },
    { reason: "messageIdInvalid", topic, key: null },
  ]);
});
