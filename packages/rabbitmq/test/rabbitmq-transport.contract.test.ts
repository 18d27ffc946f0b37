import type { OutgoingMessage, ReceivedMessage, Transport } from "@waybill/core";
import { rabbitmqTransport } from "@waybill/rabbitmq";
import {
  type StartedRabbitmq,
  startFaultProxy,
  type TransportCapabilities,
  type TransportFixture,
  testBroker,
  transportContract,
} from "@waybill/testing";
import { afterAll, beforeAll, describe, test } from "vitest";
import { newerNodes } from "./own-nodes.ts";
import { fullQueue, testQueues } from "./test-queues.ts";

const broker = await testBroker("rabbitmq");
const capabilities: TransportCapabilities = { harms: ["refuse", "fail", "silence"] };

/** Behind an exchange that routes by headers, so that single messages can be led elsewhere, and a proxy that goes silent for one. */
async function fixtureOn(url: string): Promise<TransportFixture> {
  const queues = await testQueues(url);
  const { hostname, port } = new URL(url);
  const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
  const exchange = await queues.exchange("headers");
  const all = await queues.queue(exchange);
  const refused = new Set<string>();
  const transport = rabbitmqTransport({ url: proxy.url(url), topics: { contract: { exchange } }, topology: "none" });
  const received: ReceivedMessage[] = [];
  return {
    transport: spoiling(transport, refused),
    async received() {
      received.push(...(await queues.takeMessages(all)));
      return received;
    },
    async harm(messageId, harm) {
      if (harm === "silence") proxy.inject({ kind: "swallowReplies", pattern: messageId });
      else if (harm === "refuse") refused.add(messageId);
      else await queues.queue(exchange, { declare: fullQueue, match: { "x-match": "all", cloudEvents_id: messageId } });
    },
    async dispose() {
      await transport.close({ deadlineMs: 1_000 });
      await proxy.stop();
      await queues.dispose();
    },
  };
}

/**
 * What a broker refuses for good is its size, and which message of several it was takes a second call to find out (see A18). So what
 * is to be refused gets a header on its way that AMQP would take for an address: the transport itself refuses that.
 */
function spoiling(transport: Transport, refused: ReadonlySet<string>): Transport {
  const spoilt = (message: OutgoingMessage): OutgoingMessage =>
    refused.has(message.id) ? { ...message, headers: new Map([...message.headers, ["CC", "elsewhere"]]) } : message;
  return {
    publish: (batch, options) => transport.publish(batch.map(spoilt), options),
    close: (options) => transport.close(options),
  };
}

describe(`the RabbitMQ transport on ${broker.version}`, () => {
  const cases = transportContract({ capabilities, create: () => fixtureOn(broker.url) });
  for (const { name, run } of cases) test(name, run);
});

describe.each(newerNodes)("the RabbitMQ transport on $name", ({ start }) => {
  let node: StartedRabbitmq;
  beforeAll(async () => {
    node = await start({ messageBytesMax: 16 * 1024 * 1024 });
  }, 600_000);
  afterAll(async () => {
    await node.stop();
  });
  const cases = transportContract({ capabilities, create: () => fixtureOn(node.url) });
  for (const { name, run } of cases) test(name, run);
});
