import { EventEmitter } from "node:events";
import { newMessageId, type OutgoingMessage, type PublishOutcome, systemClock } from "@waybill/core";
import { expect, test } from "vitest";
import type { BrokerConnection } from "./connection.ts";
import type { DriverConfirmChannel, DriverPublishOptions } from "./driver.ts";
import { type Call, exchangePublisher } from "./exchange-publisher.ts";
import type { Link, LinkChannel } from "./link.ts";

/** A link that opens channels on which nothing is answered but by the test. The broker is heard of all the time. */
function fakeLink() {
  const channels: (EventEmitter & { readonly confirms: ((error: Error | null) => void)[] })[] = [];
  let heardBytes = 0;
  const link = {
    broker: "broker",
    isOpen: true,
    blocked: null,
    get heardBytes() {
      return (heardBytes += 1);
    },
    onBlocked: () => () => undefined,
    openConfirmChannel: () => {
      const driver = Object.assign(new EventEmitter(), {
        confirms: [] as ((error: Error | null) => void)[],
        publish(
          _exchange: string,
          _key: string,
          _content: Buffer,
          _options: DriverPublishOptions,
          onConfirm: (error: Error | null) => void,
        ) {
          driver.confirms.push(onConfirm);
          return true;
        },
      });
      channels.push(driver);
      const channel = { driver, isOpen: true, end: null, onEnd: () => undefined, close: () => Promise.resolve() };
      return Promise.resolve({ kind: "done", value: channel as unknown as LinkChannel<DriverConfirmChannel> });
    },
  } as unknown as Link;
  const connection = { connect: () => Promise.resolve({ kind: "ready", link }) } as unknown as BrokerConnection;
  return { connection, channels };
}

/** A call that ends when the test says so. */
function callOf(): Call & { end(): void } {
  const listeners = new Set<() => void>();
  let isOver = false;
  return {
    writeUntilMs: Number.POSITIVE_INFINITY,
    mayWrite: undefined,
    onDeadline(listener) {
      if (isOver) listener();
      else listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    end() {
      isOver = true;
      for (const listener of listeners) listener();
    },
  };
}

function publisherOn(connection: BrokerConnection) {
  const publisher = exchangePublisher({
    exchange: "orders",
    connection,
    topology: { exchanges: [], queues: [] },
    mode: "none",
    clock: systemClock,
    onEvent: undefined,
    isClosing: () => false,
  });
  /** Resolves when the message is written. */
  return async (message: OutgoingMessage, call: Call): Promise<{ readonly outcome: Promise<PublishOutcome> | PublishOutcome }> =>
    await publisher.publish(message, "orders", call);
}

const message: OutgoingMessage = {
  id: newMessageId(),
  type: "shop.order.placed.v1",
  topic: "orders",
  key: null,
  headers: new Map([["ce-source", "/order-service"]]),
  payload: Buffer.from("{}"),
  sequence: 1n,
  createdAtMs: 1_700_000_000_000,
};

test("A2 a message that was returned is not confirmed by the ack that follows", async () => {
  const { connection, channels } = fakeLink();
  const publish = publisherOn(connection);
  const written = await publish(message, callOf());
  const fields = { replyCode: 312, replyText: "NO_ROUTE", exchange: "orders", routingKey: "orders" };
  channels[0]?.emit("return", { fields, properties: { messageId: message.id } });
  channels[0]?.confirms[0]?.(null);
  expect(await written.outcome).toMatchObject({ kind: "retry", scope: "topic", error: { facts: { reason: "unroutable" } } });
});

test("A2 a return on a channel that was given up says nothing of the message's next publication", async () => {
  const { connection, channels } = fakeLink();
  const publish = publisherOn(connection);
  const first = callOf();
  const written = await publish(message, first);
  first.end();
  expect(await written.outcome).toMatchObject({ kind: "unknown", scope: "topic" });
  const again = await publish(message, callOf());
  expect(channels).toHaveLength(2);
  const fields = { replyCode: 312, replyText: "NO_ROUTE", exchange: "orders", routingKey: "orders" };
  channels[0]?.emit("return", { fields, properties: { messageId: message.id } });
  channels[1]?.confirms[0]?.(null);
  expect(await again.outcome).toEqual({ kind: "confirmed" });
});

test("a channel on which everything is refused is given up after a while, and the next message goes over another", async () => {
  const { connection, channels } = fakeLink();
  const publish = publisherOn(connection);
  const refuse = async (nth: number): Promise<void> => {
    const written = await publish({ ...message, id: newMessageId() }, callOf());
    channels[0]?.confirms[nth]?.(new Error("nack"));
    expect(await written.outcome).toMatchObject({ kind: "unknown", scope: "topic", error: { facts: { reason: "nacked" } } });
  };
  for (let nth = 0; nth < 9; nth += 1) await refuse(nth);
  const confirmed = await publish(message, callOf());
  channels[0]?.confirms[9]?.(null);
  expect(await confirmed.outcome).toEqual({ kind: "confirmed" });
  for (let nth = 10; nth < 20; nth += 1) await refuse(nth);
  expect(channels).toHaveLength(1);
  await publish(message, callOf());
  expect(channels).toHaveLength(2);
});

test("a call that is over already is answered, too, for a message that is on its way", async () => {
  const { connection } = fakeLink();
  const publish = publisherOn(connection);
  const written = await publish(message, callOf());
  const late = callOf();
  late.end();
  const joined = await publish(message, late);
  for (const { outcome } of [written, joined]) expect(await outcome).toMatchObject({ kind: "unknown", scope: "topic" });
});
