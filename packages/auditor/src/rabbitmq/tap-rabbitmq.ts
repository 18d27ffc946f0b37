import { randomUUID } from "node:crypto";
import { type ChannelModel, type ConsumeMessage, connect } from "amqplib";
import { AuditInputError } from "../audit-input-error.ts";
import { digest } from "../digest.ts";
import type { Received } from "../history.ts";
import type { Tap, TapOptions } from "../tap.ts";
import { until } from "../until.ts";

export interface RabbitmqTapOptions extends TapOptions {
  /** `amqp://user:password@host:port/vhost`. A secret as a whole. */
  readonly url: string;
  /** Durable topic exchanges, made if they are not there: the tap must be bound before anything is published. */
  readonly exchanges: readonly string[];
}

const reconnectMs = 200;

/**
 * Reads what is published to exchanges of RabbitMQ, from a durable queue of its own that is bound to all of their keys. It comes back after a
 * lost connection; what it had read and not yet acknowledged then arrives twice, so that its record may repeat, too.
 */
export async function tapRabbitmq(options: RabbitmqTapOptions): Promise<Tap> {
  const { url, subscription, exchanges, onReceived } = options;
  const queue = `waybill-auditor-${randomUUID()}`;
  const received: Received[] = [];
  let isClosed = false;
  let connection: ChannelModel | null = null;
  let isEmpty: (() => Promise<boolean>) | null = null;

  const take = (message: ConsumeMessage): void => {
    const record: Received = {
      subscription,
      messageId: String(message.properties.messageId ?? "none"),
      payloadDigest: digest(message.content),
      topic: message.fields.exchange,
    };
    received.push(record);
    onReceived?.(record);
  };
  const open = async (): Promise<void> => {
    const opened: ChannelModel = await connect(url, { timeout: 10_000 });
    opened.on("error", () => undefined); // `close` follows
    opened.once("close", () => {
      isEmpty = null;
      if (connection === opened) connection = null;
      if (!isClosed) reopen().catch(() => undefined); // it tries until closed
    });
    const channel = await opened.createChannel();
    channel.on("error", () => undefined);
    await channel.assertQueue(queue, { durable: true });
    for (const exchange of exchanges) {
      await channel.assertExchange(exchange, "topic", { durable: true });
      await channel.bindQueue(queue, exchange, "#");
    }
    await channel.prefetch(500);
    await channel.consume(queue, (message) => {
      if (message === null) return;
      take(message);
      channel.ack(message);
    });
    connection = opened;
    isEmpty = async () => (await channel.checkQueue(queue)).messageCount === 0;
  };
  const reopen = async (): Promise<void> => {
    while (!isClosed) {
      try {
        await open();
        return;
      } catch {
        // The broker is still away: it is asked again.
        await new Promise((resolve) => setTimeout(resolve, reconnectMs));
      }
    }
  };
  await open();

  return {
    received,
    async readToEnd({ deadlineMs = 60_000 } = {}) {
      // What the queue no longer holds was handed to us; nothing more within a look is nothing on its way.
      let seen = -1;
      const isQuiet = async (): Promise<boolean> => {
        const before = seen;
        seen = received.length;
        return before === seen && isEmpty !== null && (await isEmpty().catch(() => false));
      };
      if (!(await until(isQuiet, deadlineMs, 100))) throw new AuditInputError("rabbitmq", `was not read to its end in ${deadlineMs} ms`);
    },
    async close() {
      isClosed = true;
      const opened: ChannelModel | null = connection;
      if (opened === null) return;
      try {
        const channel = await opened.createChannel();
        await channel.deleteQueue(queue);
        await opened.close();
      } catch {
        // The connection was lost meanwhile: the queue stays, under a name that nobody uses again.
      }
    },
  };
}
