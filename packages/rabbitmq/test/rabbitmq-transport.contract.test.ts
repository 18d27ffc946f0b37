import type { ReceivedMessage } from "@waybill/core";
import { rabbitmqTransport } from "@waybill/rabbitmq";
import { startFaultProxy, testBroker, transportContract } from "@waybill/testing";
import { describe, test } from "vitest";
import { fullQueue, testQueues } from "./test-queues.ts";

const broker = await testBroker("rabbitmq");

describe(`the RabbitMQ transport on ${broker.version}`, () => {
  const cases = transportContract({
    capabilities: { harms: ["fail", "silence"] },
    async create() {
      const queues = await testQueues(broker.url);
      const { hostname, port } = new URL(broker.url);
      const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      // By headers, so that single messages can be led elsewhere.
      const exchange = await queues.exchange("headers");
      const all = await queues.queue(exchange);
      const transport = rabbitmqTransport({
        url: proxy.url(broker.url),
        topics: { contract: { exchange } },
        topology: "none",
      });
      const received: ReceivedMessage[] = [];
      return {
        transport,
        async received() {
          received.push(...(await queues.takeMessages(all)));
          return received;
        },
        async harm(messageId, harm) {
          if (harm === "silence") proxy.inject({ kind: "swallowReplies", pattern: messageId });
          else await queues.queue(exchange, { declare: fullQueue, match: { "x-match": "all", cloudEvents_id: messageId } });
        },
        async dispose() {
          await transport.close({ deadlineMs: 1_000 });
          await proxy.stop();
          await queues.dispose();
        },
      };
    },
  });
  for (const { name, run } of cases) test(name, run);
});
