import type { OutgoingMessage } from "@waybill/core";
import { testName, waitUntil } from "@waybill/testing";
import { type ChannelModel, type ConfirmChannel, connect, type Options } from "amqplib";
import { toPublish } from "../src/binary-mode.ts";
import type { RabbitmqQueue } from "../src/topology.ts";
import { queueArguments } from "../src/topology.ts";

/** Queues of one test on one broker, and a publisher for them that waits for every confirm. */
export interface QueueFixture {
  readonly url: string;
  readonly queue: RabbitmqQueue;
  /** Publishes as our transport does, straight into the queue. */
  publish(messages: readonly OutgoingMessage[], queue?: string): Promise<void>;
  /** As `publish`, again and again until it is confirmed: whatever becomes of the connection meanwhile. */
  publishAgain(...messages: readonly OutgoingMessage[]): Promise<void>;
  /** Publishes what a foreign producer might. */
  publishForeign(content: Buffer, options: Options.Publish): Promise<void>;
  /** Messages that are ready. */
  ready(queue?: string): Promise<number>;
  /** Declares a queue as somebody else would, with these arguments beside type and durability. */
  declareForeign(args: Readonly<Record<string, unknown>>): Promise<void>;
  remove(queue?: string): Promise<void>;
  /** Removes the queues that were used. */
  close(): Promise<void>;
}

/** A queue that a source may declare; it is there from the start, so that messages can come before the source. */
export async function queueFixture(url: string, over: Partial<RabbitmqQueue> = {}): Promise<QueueFixture> {
  const queue: RabbitmqQueue = { name: testName("source"), ...over };
  const used = new Set([queue.name]);
  let open: { readonly model: ChannelModel; readonly channel: ConfirmChannel } | null = null;

  /** A connection that may be closed by the broker under the test's feet, and is opened again then. */
  const channel = async (): Promise<ConfirmChannel> => {
    if (open !== null) return open.channel;
    const model = await connect(url, { timeout: 10_000 });
    const forget = (): void => {
      open = null;
    };
    model.on("error", forget).on("close", forget);
    const made = await model.createConfirmChannel();
    made.on("error", forget).on("close", forget);
    open = { model, channel: made };
    return made;
  };
  const confirmed = async (name: string, content: Buffer, options: Options.Publish): Promise<void> => {
    const on = await channel();
    await new Promise<void>((resolve, reject) => {
      on.publish("", name, content, options, (error: unknown) => (error ? reject(error as Error) : resolve()));
    });
  };

  await (await channel()).assertQueue(queue.name, { durable: true, arguments: queueArguments(queue) });
  const publish = async (messages: readonly OutgoingMessage[], name = queue.name): Promise<void> => {
    used.add(name);
    for (const message of messages) {
      const made = toPublish(message);
      if ("problem" in made) throw new Error(made.problem);
      await confirmed(name, made.content, made.options as Options.Publish);
    }
  };
  return {
    url,
    queue,
    publish,
    async publishAgain(...messages) {
      for (const message of messages)
        await waitUntil(
          () =>
            publish([message]).then(
              () => true,
              () => false,
            ),
          { what: "a message is confirmed", deadlineMs: 30_000 },
        );
    },
    publishForeign: (content, options) => confirmed(queue.name, content, options),
    ready: async (name = queue.name) => (await (await channel()).checkQueue(name)).messageCount,
    async declareForeign(args) {
      const on = await channel();
      await on.deleteQueue(queue.name);
      await on.assertQueue(queue.name, { durable: true, arguments: { "x-queue-type": "quorum", ...args } });
    },
    async remove(name = queue.name) {
      await (await channel()).deleteQueue(name);
    },
    async close() {
      for (const name of used) await (await channel()).deleteQueue(name).catch(() => undefined);
      await open?.model.close().catch(() => undefined);
    },
  };
}
