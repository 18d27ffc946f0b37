/** A second hand at the broker: makes exchanges and queues as a test needs them, reads what is in them, and removes them again. */
import type { ReceivedMessage } from "@waybill/core";
import { testName } from "@waybill/testing";
import { type Channel, type ChannelModel, connect, type GetMessage, type Options } from "amqplib";
import { fromDelivery } from "../src/binary-mode.ts";
import type { DriverDelivery } from "../src/driver.ts";

export interface TestQueues {
  readonly channel: Channel;
  /** Under a name of its own, removed at the end. */
  exchange(type?: string, options?: Options.AssertExchange): Promise<string>;
  /** A quorum queue unless `options` say otherwise, bound to `exchange` by `routingKey` (`#`) and `pattern` if it is given. */
  queue(
    exchange?: string,
    options?: { readonly routingKey?: string; readonly match?: Record<string, unknown>; readonly declare?: Options.AssertQueue },
  ): Promise<string>;
  /** Something that the code under test declares and that has to go at the end. */
  remember(kind: "queue" | "exchange", name: string): void;
  /** Takes everything out of a queue. */
  take(queue: string): Promise<readonly GetMessage[]>;
  /** Takes everything out of a queue, as messages. */
  takeMessages(queue: string): Promise<readonly ReceivedMessage[]>;
  dispose(): Promise<void>;
}

export async function testQueues(url: string): Promise<TestQueues> {
  const connection: ChannelModel = await connect(url);
  connection.on("error", () => undefined);
  const channel = await connection.createChannel();
  channel.on("error", () => undefined);
  const exchanges = new Set<string>();
  const queues = new Set<string>();
  const take = async (queue: string): Promise<readonly GetMessage[]> => {
    const taken: GetMessage[] = [];
    for (;;) {
      const { messageCount } = await channel.checkQueue(queue);
      if (messageCount === 0) return taken;
      // By a consumer: one at a time would take a minute for what a test publishes in a second.
      const until = taken.length + messageCount;
      let enough: () => void = () => undefined;
      const all = new Promise<void>((resolve) => {
        enough = resolve;
      });
      const { consumerTag } = await channel.consume(
        queue,
        (message) => {
          if (message !== null) taken.push(message as unknown as GetMessage);
          if (taken.length >= until) enough();
        },
        { noAck: true },
      );
      await all;
      await channel.cancel(consumerTag);
    }
  };
  return {
    channel,
    async exchange(type = "topic", options = {}) {
      const name = testName("exchange");
      exchanges.add(name);
      await channel.assertExchange(name, type, { durable: true, ...options });
      return name;
    },
    async queue(exchange, { routingKey = "#", match = {}, declare = { arguments: { "x-queue-type": "quorum" } } } = {}) {
      const name = testName("queue");
      queues.add(name);
      await channel.assertQueue(name, { durable: true, ...declare });
      if (exchange !== undefined) await channel.bindQueue(name, exchange, routingKey, match);
      return name;
    },
    remember(kind, name) {
      (kind === "queue" ? queues : exchanges).add(name);
    },
    take,
    async takeMessages(queue) {
      return (await take(queue)).map((taken) => fromDelivery(taken as unknown as DriverDelivery));
    },
    async dispose() {
      // On connections of their own: the channel under test may be gone, and one name that is unknown must not keep the others.
      const last = await connect(url);
      last.on("error", () => undefined);
      const cleaner = await last.createChannel();
      for (const name of queues) await cleaner.deleteQueue(name);
      for (const name of exchanges) await cleaner.deleteExchange(name);
      await last.close();
      await connection.close().catch(() => undefined);
    },
  };
}

/** Refuses everything that is published to it. */
export const fullQueue: Options.AssertQueue = {
  arguments: { "x-queue-type": "classic", "x-max-length": 0, "x-overflow": "reject-publish" },
};
