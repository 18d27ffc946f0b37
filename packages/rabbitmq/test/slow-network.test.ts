/** A19: what happens while more waits to be written than the network takes. */
import { once } from "node:events";
import { connect as connectTcp, createServer, type Server } from "node:net";
import type { WaybillEvent } from "@waybill/core";
import { rabbitmqTransport } from "@waybill/rabbitmq";
import { testBroker, testName } from "@waybill/testing";
import { connect } from "amqplib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { outcomeText } from "./outcome-text.ts";
import { outgoing } from "./outgoing.ts";
import { type TestQueues, testQueues } from "./test-queues.ts";

const broker = await testBroker("rabbitmq");
const payload = Buffer.alloc(40_000, "x");
/** Bytes in ten milliseconds: four megabytes take a second. */
const pace = 40_000;

let slow: Server;
let url: string;
let queues: TestQueues;
beforeAll(async () => {
  const { hostname, port } = new URL(broker.url);
  slow = createServer({ highWaterMark: 4_096 }, (client) => {
    const server = connectTcp({ host: hostname, port: port === "" ? 5672 : Number(port) });
    server.pipe(client);
    client.on("readable", () => undefined); // read by us, not as it comes
    const reading = setInterval(() => {
      const bytes = (client.read(pace) ?? client.read()) as Buffer | null;
      if (bytes !== null) server.write(bytes);
    }, 10);
    for (const socket of [client, server]) {
      socket
        .on("error", () => undefined)
        .once("close", () => {
          clearInterval(reading);
          client.destroy();
          server.destroy();
        });
    }
  });
  slow.listen(0, "127.0.0.1");
  await once(slow, "listening");
  const through = new URL(broker.url);
  through.hostname = "127.0.0.1";
  through.port = String((slow.address() as { port: number }).port);
  url = through.href;
});
afterAll(() => void slow.close());
beforeEach(async () => {
  queues = await testQueues(broker.url);
});
afterEach(async () => {
  await queues.dispose();
});

describe("A19", () => {
  test("the library: gives a closed channel's number away before it has let go of it, and loses the connection", async () => {
    const connection = await connect(url);
    const failure = once(connection, "error") as Promise<[Error & { readonly code?: number }]>;
    const channel = await connection.createConfirmChannel();
    channel.on("error", () => {
      // As whoever publishes again would.
      setImmediate(() => void connection.createChannel().catch(() => undefined));
    });
    const missing = testName("missing");
    for (let place = 0; place < 300; place += 1) channel.publish(missing, "k", payload, {}, () => undefined);
    // Closed by whoever is first: the broker, which says why, or its socket.
    const [error] = await new Promise<[Error & { readonly code?: number }]>((resolve) => void failure.then(resolve));
    expect(error.code).toBe(504);
  });

  test("an exchange that is gone, with megabytes on their way to it, stops its own topic, and no other", async () => {
    const there = await queues.exchange();
    const queue = await queues.queue(there);
    const events: WaybillEvent[] = [];
    const transport = rabbitmqTransport({
      url,
      topology: "none",
      topics: { lost: { exchange: testName("missing") }, orders: { exchange: there } },
      onEvent: (event) => events.push(event),
    });
    try {
      await transport.start({ deadlineMs: 30_000 });
      const lost = Array.from({ length: 110 }, () => outgoing({ topic: "lost", payload }));
      const neighbours = Array.from({ length: 20 }, () => outgoing());
      const outcomes = await transport.publish([...lost, ...neighbours], { deadlineMs: 30_000 });
      expect(new Set(outcomes.slice(0, lost.length).map(outcomeText))).toEqual(
        new Set(["unknown topic channelException 404", "retry topic channelException 404"]),
      );
      expect(new Set(outcomes.slice(lost.length).map(outcomeText))).toEqual(new Set(["confirmed"]));
      expect(events.filter(({ name }) => name === "rabbitmq.lost")).toEqual([]);
      expect(await queues.take(queue)).toHaveLength(neighbours.length);
    } finally {
      await transport.close({ deadlineMs: 5_000 });
    }
  });
});
