import { forEachRabbitmq, sourceContract } from "@waybill/testing";
import { describe, test } from "vitest";
import { rabbitmqSource } from "../src/index.ts";
import { queueFixture } from "./queue-fixture.ts";

await forEachRabbitmq((broker) =>
  describe(`the RabbitMQ source on ${broker.name}`, () => {
    const cases = sourceContract({
      async create() {
        const fixture = await queueFixture(broker.url);
        return {
          source: rabbitmqSource({ url: broker.url, queues: [fixture.queue] }),
          send: (messages) => fixture.publish(messages),
          dispose: () => fixture.close(),
        };
      },
    });
    for (const { name, run } of cases) test(name, run);
  }),
);
