/**
 * The whole way of a confirmation on real servers: append ─▶ relay ─▶ RabbitMQ ─▶ inbox of the consumer, effect and confirmation in one commit ─▶ its relay ─▶
 * RabbitMQ ─▶ inbox of the producer ─▶ `confirm`. The consumer is silent, late, doubled, comes after the dead letter, and is killed with -9 in between.
 */
import { catalogue, message, type RelayEvent, type WaybillEvent } from "@waybill/core";
import { deadLetterMigrations, redriveDeadLetters } from "@waybill/dead-letter";
import { createInbox, inboxMigrations } from "@waybill/inbox";
import { append, confirm, outboxMigrations } from "@waybill/outbox";
import { rabbitmqSource, rabbitmqTransport, topicQueues } from "@waybill/rabbitmq";
import { committedValue, type Database, migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import {
  type Child,
  forEachDatabaseInTurn,
  hasTurn,
  startChild,
  type TestDatabase,
  testBroker,
  testDatabase,
  testName,
  waitUntil,
} from "@waybill/testing";
import { connect } from "amqplib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createRelay, relayMigrations } from "../../src/index.ts";
import type { ConfirmingOptions } from "./confirming.child.ts";

const program = new URL("../../dist-programs/test/crash/confirming.child.js", import.meta.url);
const broker = await testBroker("rabbitmq");
const longMs = 60_000;
const migrations = [sqlMigrations, deadLetterMigrations, outboxMigrations, relayMigrations, inboxMigrations];

/** Where a consumer is killed: before its commit, after it, and while its confirmation is on its way. */
const kills = [
  "inbox.confirming",
  "inbox.confirmed",
  "inbox.committed",
  "relay.publishing",
  "relay.published",
] as const satisfies readonly WaybillEvent["name"][];

await forEachDatabaseInTurn("confirmed by a consumer", (server) =>
  describe(`confirmed by a consumer, on ${server.name}`, () => {
    let name: string;
    let places: readonly TestDatabase[] = [];
    let producer: Database;
    let consumer: Database;
    let started: Promise<unknown>[];
    let children: Child[];
    let stop: AbortController;
    let events: RelayEvent[];
    /** What `confirm` answered to each message that confirms: the last answer, for a unit may run again. */
    const answers = new Map<string, { readonly messageId: string; readonly isWaitedFor: boolean }>();

    beforeAll(async () => {
      name = testName("confirmed");
      places = [await testDatabase({ server: server.name }), await testDatabase({ server: server.name })];
      [producer, consumer] = places.map(({ url }) => openDatabase({ url, connections: 6 })) as [Database, Database];
      for (const database of [producer, consumer]) await migrateUp(database, namespace(server.dialect), migrations);
      const id = server.dialect === "postgres" ? "bigint generated always as identity" : "bigint auto_increment primary key";
      await consumer.query(`create table effect (id ${id}, message_id varchar(255) not null)`, []);
      await declareQueues();
    }, 180_000);
    beforeEach(() => {
      stop = new AbortController();
      [events, started, children] = [[], [], []];
    });
    afterEach(async () => {
      stop.abort();
      for (const child of children) child.kill();
      await Promise.allSettled([...started, ...children.map(({ exited }) => exited)]);
    }, 180_000);
    afterAll(async () => {
      await Promise.all([producer, consumer].map((database) => database?.close()));
      for (const place of places) await place.drop();
      await removeQueues();
    }, 180_000);

    const shop = () =>
      catalogue({
        source: "/order-service",
        placed: message<{ readonly n: number }>({ type: "shop.placed.v1", topic: `${name}.orders` }),
      });
    const heard = catalogue({
      source: "/inventory-service",
      confirmed: message<{ readonly messageId: string; readonly consumer: string }>({
        type: "inventory.confirmed.v1",
        topic: "confirmations",
      }),
    });
    const queues = () => [
      ...topicQueues({ consumer: "inventory", topics: [`${name}.orders`] }),
      ...topicQueues({ consumer: "shop", topics: [`${name}.confirmations`] }),
    ];

    /** Before anything is published: what finds no queue would wait for one. */
    async function declareQueues(): Promise<void> {
      const source = rabbitmqSource({ url: broker.url, queues: queues() });
      const declared = new AbortController();
      const consuming = source.consume(() => Promise.resolve([]), { signal: declared.signal });
      const connection = await connect(broker.url);
      const bound = async (): Promise<boolean> => {
        const channel = await connection.createChannel();
        channel.on("error", () => undefined);
        try {
          for (const queue of queues()) await channel.checkQueue(queue.name);
          return true;
        } catch {
          return false;
        }
      };
      await waitUntil(bound, { what: "the queues are there", deadlineMs: longMs });
      declared.abort();
      await consuming;
      await connection.close();
    }
    async function removeQueues(): Promise<void> {
      const connection = await connect(broker.url);
      const channel = await connection.createChannel();
      for (const queue of queues()) await channel.deleteQueue(queue.name);
      for (const topic of ["orders", "confirmations"]) await channel.deleteExchange(`${name}.${topic}`);
      await connection.close();
    }

    /** The producer's side: its relay, and its inbox, which hears of confirmations. */
    const startProducer = (): void => {
      const { signal } = stop;
      const transport = rabbitmqTransport({ url: broker.url });
      const relay = createRelay({
        database: producer,
        transport,
        leaseMs: 3_000,
        publishDeadlineMs: 2_000,
        pollMaxMs: 20,
        onEvent: (event) => events.push(event as RelayEvent),
      });
      const inbox = createInbox({ consumer: "shop", database: producer });
      inbox.on(
        heard.confirmed,
        async ({ id, payload }, tx) => void answers.set(id, { messageId: payload.messageId, isWaitedFor: await confirm(tx, payload) }),
      );
      const source = rabbitmqSource({ url: broker.url, queues: topicQueues({ consumer: "shop", topics: [`${name}.confirmations`] }) });
      started.push(
        relay.run({ signal }).then(() => transport.close({ deadlineMs: 1_000 })),
        inbox.run(source, { signal }),
      );
    };
    const startConsumer = async (killAt: ConfirmingOptions["killAt"] = null): Promise<Child> => {
      const options: ConfirmingOptions = { url: (places[1] as TestDatabase).url, broker: broker.url, name, killAt };
      const child = await startChild(program, { args: [JSON.stringify(options)] });
      children.push(child);
      return child;
    };
    const place = async (n: number, withinMs: number): Promise<string> => {
      const work = producer.unitOfWork((tx) => append(tx, shop().placed({ n }), { confirmBy: ["inventory"], withinMs }), {
        operation: "place",
      });
      return committedValue("place", await work)[0] ?? "";
    };
    const idsIn = async (from: Database, text: string): Promise<readonly string[]> =>
      (
        await from.query(
          `select ${server.dialect === "postgres" ? "message_id" : "convert(message_id using utf8mb4) as message_id"} from ${text}`,
          [],
        )
      ).map((row) => String(row["message_id"]));
    const isConfirmed = async (): Promise<boolean> => (await idsIn(producer, "waybill_confirmation")).length === 0;
    /** Of these messages, sorted. */
    const effectsOf = async (ids: readonly string[]): Promise<readonly string[]> =>
      (await idsIn(consumer, "effect")).filter((id) => ids.includes(id)).sort();
    const lettersOf = async (id: string, state: string): Promise<number> =>
      (await idsIn(producer, `waybill_dead_letter where state = '${state}'`)).filter((one) => one === id).length;
    const answersTo = (ids: readonly string[]): readonly boolean[] =>
      [...answers.values()].flatMap(({ messageId, isWaitedFor }) => (ids.includes(messageId) ? [isWaitedFor] : []));
    const seen = (event: RelayEvent["name"], count: number): Promise<unknown> =>
      waitUntil(() => events.filter((one) => one.name === event).length >= count, { what: `${count} of ${event}`, deadlineMs: longMs });
    const answered = (id: string, count: number): Promise<unknown> =>
      waitUntil(() => answersTo([id]).length >= count, { what: `${count} confirmations`, deadlineMs: longMs });

    test("a silent consumer gets the message again until it confirms; its confirmations are idempotent, and the effect is one", {
      timeout: 180_000,
    }, async () => {
      startProducer();
      // Given up after a minute and a half: a slow machine has its consumer up by then.
      const id = await place(1, 1_500);
      await seen("relay.unconfirmedRepeated", 2);
      await startConsumer();
      await waitUntil(isConfirmed, { what: "the row is gone", deadlineMs: longMs });
      // The effect's own, and one for each of the two repeats at least: the first is waited for, the others are late.
      await answered(id, 3);
      expect(answersTo([id]).filter((isWaitedFor) => isWaitedFor)).toHaveLength(1);
      expect(await effectsOf([id])).toEqual([id]);
      expect(events.some(({ name: event }) => event === "relay.unconfirmedGivenUp")).toBe(false);
    });

    test("a consumer that comes after the dead letter is heard, changes nothing, and gets the message once more when it is redriven", {
      timeout: 180_000,
    }, async () => {
      startProducer();
      const id = await place(1, 1);
      await seen("relay.unconfirmedGivenUp", 1);
      await startConsumer();
      await answered(id, 6);
      expect(answersTo([id])).toEqual(Array.from({ length: 6 }, () => false));
      expect(await lettersOf(id, "dead")).toBe(1);
      await redriveDeadLetters(producer, namespace(server.dialect), { messageId: id }, { who: "ann", why: null });
      await answered(id, 7);
      expect([answersTo([id])[6], await effectsOf([id]), await isConfirmed()]).toEqual([false, [id], true]);
      expect(await lettersOf(id, "done")).toBe(1);
    });

    test.each(kills.filter((_, at) => hasTurn("a consumer killed while it confirms", at, kills.length)))(
      "a consumer killed at %s leaves no message unconfirmed and no effect doubled",
      { timeout: 180_000 },
      async (killAt) => {
        startProducer();
        const ids = await Promise.all([1, 2, 3, 4, 5].map((n) => place(n, 2_000)));
        const victim = await startConsumer(killAt);
        expect(await victim.exited, victim.output()).toEqual({ code: null, signal: "SIGKILL" });
        await startConsumer();
        await waitUntil(isConfirmed, { what: "all are confirmed", deadlineMs: longMs });
        expect(await effectsOf(ids)).toEqual([...ids].sort());
        expect(events.some(({ name: event }) => event === "relay.unconfirmedGivenUp")).toBe(false);
        expect(answersTo(ids).filter((isWaitedFor) => isWaitedFor)).toHaveLength(5);
      },
    );
  }),
);
