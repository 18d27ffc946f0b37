/** The proxy between each driver and its server: what a cut leaves behind on MySQL, RabbitMQ and Kafka. */
import { connect } from "amqplib";
import { Kafka, logLevel } from "kafkajs";
import { createConnection } from "mysql2/promise";
import { describe, expect, it } from "vitest";
import {
  type FaultProxy,
  forEachMysql,
  forEachRabbitmq,
  freePort,
  startFaultProxy,
  startKafka,
  testDatabase,
  testName,
  waitUntil,
} from "../src/index.ts";
import { askMysql } from "./kept-in-mysql.ts";
import { kafkaProgramsAreThere, whyNot } from "./launched-server.ts";

const caseMs = 180_000;

async function proxyBefore(url: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(url);
  return startFaultProxy({ target: { host: hostname, port: Number(port) } });
}

await forEachMysql((server) => {
  describe(`a link to ${server.name}`, () => {
    it.each([
      ["beforeRequest", 0],
      ["beforeReply", 1],
    ] as const)(
      "that is cut at COMMIT %s leaves %d rows",
      async (at, rows) => {
        const database = await testDatabase({ server: server.name });
        const proxy = await proxyBefore(database.url);
        try {
          await askMysql(database.url, "create table message (id int) engine = innodb");
          const connection = await createConnection({ uri: proxy.url(database.url) });
          connection.on("error", () => undefined); // the cut; the commit's own rejection tells
          await connection.beginTransaction();
          await connection.query("insert into message values (1)");
          const cut = proxy.inject({ kind: "cut", at, pattern: "commit" });
          await expect(connection.commit()).rejects.toThrow();
          await cut.hasFired();
          expect(await askMysql(database.url, "select count(*) as rows_there from message")).toEqual([{ rows_there: rows }]);
        } finally {
          await proxy.stop();
          await database.drop();
        }
      },
      caseMs,
    );
  });
});

const publish = Buffer.from([0, 60, 0, 40]);

await forEachRabbitmq((server) => {
  describe(`a link to ${server.name}`, () => {
    it.each([
      ["beforeRequest", 0],
      ["beforeReply", 1],
    ] as const)(
      "that is cut at a publish %s leaves %d messages",
      async (at, messages) => {
        const { url } = server;
        const proxy = await proxyBefore(url);
        const queue = testName("queue");
        const direct = await connect(url);
        const channel = await direct.createChannel();
        try {
          await channel.assertQueue(queue, { durable: true });
          const model = await connect(proxy.url(url));
          model.on("error", () => undefined); // the cut
          const confirming = await model.createConfirmChannel();
          confirming.on("error", () => undefined);
          const cut = proxy.inject({ kind: "cut", at, pattern: publish });
          const confirmed = new Promise((resolve) => confirming.sendToQueue(queue, Buffer.from("one"), { persistent: true }, resolve));
          expect(await confirmed).toBeInstanceOf(Error);
          await cut.hasFired();
          // The answer that was cut off is the proof that the broker has it; without the request there is nothing to wait for.
          expect((await channel.checkQueue(queue)).messageCount).toBe(messages);
        } finally {
          await channel.deleteQueue(queue);
          await direct.close();
          await proxy.stop();
        }
      },
      caseMs,
    );
  });
});

const missing = await whyNot(kafkaProgramsAreThere);

describe.skipIf(missing !== null)("a link to Kafka", () => {
  it(
    "that is cut before the reply to a produce leaves the record, and the client hears of none",
    async () => {
      const port = await freePort();
      const kafka = await startKafka({ settings: { "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}` } });
      const proxy = await startFaultProxy({ target: kafka.broker(1), port });
      try {
        const client = new Kafka({ brokers: [`${proxy.host}:${proxy.port}`], logLevel: logLevel.NOTHING, retry: { retries: 0 } });
        const admin = client.admin();
        await admin.connect();
        await admin.createTopics({ waitForLeaders: true, topics: [{ topic: "orders", numPartitions: 1 }] });
        const producer = client.producer({ allowAutoTopicCreation: false });
        await producer.connect();
        const cut = proxy.inject({ kind: "cut", at: "beforeReply", pattern: "words of the record" });
        await expect(producer.send({ topic: "orders", acks: -1, messages: [{ value: "words of the record" }] })).rejects.toThrow();
        await cut.hasFired();
        await waitUntil(async () => (await admin.fetchTopicOffsets("orders"))[0]?.high === "1", {
          what: "the record is there",
          deadlineMs: 30_000,
        });
        await producer.disconnect();
        await admin.disconnect();
      } finally {
        await proxy.stop();
        await kafka.stop();
      }
    },
    caseMs,
  );
});
