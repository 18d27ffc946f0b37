import type { Source } from "@waybill/core";
import { rabbitmqSource, rabbitmqTransport, topicQueues } from "@waybill/rabbitmq";
import { type FaultProxy, forEachDatabase, startFaultProxy, testBroker, testName, waitUntil } from "@waybill/testing";
import { connect } from "amqplib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAcknowledger } from "../src/index.ts";
import { type HalfMessageFixture, halfMessageFixture, message, type Replica, secrets } from "./half-message-fixture.ts";

const broker = await testBroker("rabbitmq");

await forEachDatabase((server) =>
  describe(`${server.name} and RabbitMQ ${broker.version}`, () => {
    const topic = testName("half");
    const consumer = "billing";
    let fixture: HalfMessageFixture;
    let proxy: FaultProxy;
    let replica: Replica;
    let transport: ReturnType<typeof rabbitmqTransport>;
    const taking = new AbortController();
    let taken: Promise<void>;
    let acknowledger: ReturnType<typeof createAcknowledger>;
    /** Message ids in the order of their arrival. */
    const arrived: string[] = [];

    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
      const { hostname, port } = new URL(broker.url);
      proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      transport = rabbitmqTransport({ url: proxy.url(broker.url) });
      replica = await fixture.replica({
        pollMs: 50,
        destinations: {
          rabbit: { transport, ack: "explicit", consumer, breaker: { failuresMax: 3, firstMs: 100, maxMs: 500 }, publishTimeoutMs: 2_000 },
        },
        routes: { [topic]: ["rabbit"] },
      });
      const service = { url: `http://127.0.0.1:${replica.ports.public}`, key: { id: "billing-1", secret: secrets["billing-1"] } };
      acknowledger = createAcknowledger({ consumer, service });
      const source: Source = rabbitmqSource({ url: broker.url, queues: topicQueues({ consumer, topics: [topic] }) });
      taken = acknowledger.around(source).consume(
        (batch) => {
          arrived.push(...batch.map((delivery) => delivery.message.id));
          return Promise.resolve(batch.map(() => ({ kind: "done" })));
        },
        { signal: taking.signal },
      );
    });
    afterAll(async () => {
      taking.abort();
      await taken;
      await acknowledger.close();
      await replica.stop();
      await transport.close({ deadlineMs: 1_000 });
      await proxy.stop();
      await fixture.close();
      const connection = await connect(broker.url);
      const channel = await connection.createChannel();
      await channel.deleteQueue(`${consumer}.${topic}`);
      await channel.deleteExchange(topic);
      await connection.close();
    });

    const send = async (id: string, key: string): Promise<number> => {
      const startedMs = performance.now();
      const prepared = await replica.prepare(id, { messages: [message({ topic, key })] });
      const committed = await replica.commit(id);
      expect([prepared.status, committed.status], JSON.stringify([prepared.body, committed.body])).toEqual([201, 200]);
      return performance.now() - startedMs;
    };
    const acked = (count: number) =>
      waitUntil(async () => (await fixture.count("delivery", "state = 'acked'")) === count, {
        what: `${count} are acked`,
        deadlineMs: 30_000,
      });
    const backlog = async (): Promise<number> => {
      const { body } = await replica.call("GET", "/metrics", undefined, { key: "operator-1", at: "admin" });
      return Number(/waybill_half_backlog\{destination="rabbit"\} ([0-9]+)/.exec(String(body.text))?.[1] ?? 0);
    };

    test("what a consumer takes from the broker is acknowledged to the service by the headers it came with", async () => {
      for (let nth = 0; nth < 10; nth += 1) await send(`first-${nth}`, `k${nth % 3}`);
      await acked(10);
      expect(new Set(arrived).size).toBe(10);
    });

    test("H42 Broker down for long → prepare and commit unaffected, backlog metric grows, all delivered after, attempts not charged", {
      timeout: 90_000,
    }, async () => {
      const before = arrived.length;
      const refuse = proxy.inject({ kind: "refuse" });
      proxy.cutAll();
      const times: number[] = [];
      for (let nth = 0; nth < 30; nth += 1) times.push(await send(`down-${String(nth).padStart(2, "0")}`, `k${nth % 3}`));
      expect(times.toSorted((a, b) => a - b)[15]).toBeLessThan(5_000);
      await waitUntil(async () => (await backlog()) >= 30, { what: "the backlog shows", deadlineMs: 60_000, intervalMs: 200 });
      await refuse.hasFired();
      expect(arrived).toHaveLength(before);
      proxy.heal();
      await acked(40);
      const after = [...new Set(arrived.slice(before))];
      expect(after).toHaveLength(30);
      for (const key of [0, 1, 2]) {
        const ofKey = after.filter((id) => Number(id.slice(5)) % 3 === key);
        expect(ofKey).toEqual(ofKey.toSorted());
      }
      expect(await fixture.rows("select attempts from waybill_delivery where attempts <> 1")).toEqual([]);
    });
  }),
);
