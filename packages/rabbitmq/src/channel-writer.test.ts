import { setImmediate } from "node:timers/promises";
import type { OutgoingMessage } from "@waybill/core";
import { expect, test } from "vitest";
import { channelWriter } from "./channel-writer.ts";
import type { DriverConfirmChannel } from "./driver.ts";

function message(payload = "{}"): OutgoingMessage {
  return {
    id: "0190f3b2-7c1e-7d50-8f6f-3b1c8f0a7c11",
    type: "shop.order.placed.v1",
    topic: "orders",
    key: null,
    headers: new Map(),
    payload: Buffer.from(payload),
    sequence: 1n,
    createdAtMs: 1_700_000_000_000,
  };
}

/** What we use of the driver's objects; what is written is kept. */
function driverChannel() {
  const pieces: Buffer[] = [];
  const callbacks: unknown[] = [];
  const connection = { channels: [] as unknown[], frameMax: 131_072, sentSinceLastCheck: false };
  const driver = { ch: 1, connection, pushConfirmCallback: (callback: unknown) => callbacks.push(callback) };
  connection.channels[1] = { channel: driver, buffer: { write: (bytes: Buffer) => pieces.push(bytes) } };
  return { driver: driver as unknown as DriverConfirmChannel, connection, pieces, callbacks };
}
const ignore = (): void => undefined;

test("messages of one turn leave in one piece, in their order, and each has its callback", async () => {
  const { driver, connection, pieces, callbacks } = driverChannel();
  const writer = channelWriter(driver, "orders");
  const confirms = Array.from({ length: 50 }, () => () => undefined);
  for (const [index, confirm] of confirms.entries()) expect(writer?.publish(message(`<${index}>`), "orders", confirm)).toBe(true);
  expect(pieces).toHaveLength(0);
  await setImmediate();
  expect(pieces).toHaveLength(1);
  expect([...String(pieces[0]).matchAll(/<(\d+)>/g)].map(([, index]) => Number(index))).toEqual(confirms.map((_, index) => index));
  expect(callbacks).toEqual(confirms);
  expect(connection.sentSinceLastCheck).toBe(true);
  writer?.publish(message("<later>"), "orders", ignore);
  await setImmediate();
  expect(pieces).toHaveLength(2);
  expect(String(pieces[1]).match(/<\w+>/g)).toEqual(["<later>"]);
});

test("what was written stays as it was while more is written behind it", async () => {
  const { driver, pieces } = driverChannel();
  const writer = channelWriter(driver, "orders");
  const payloads = Array.from({ length: 60 }, (_, index) => String.fromCharCode(65 + (index % 26)).repeat(9_000));
  for (const payload of payloads) {
    expect(writer?.publish(message(payload), "orders", ignore)).toBe(true);
    if (payload.startsWith("M")) await setImmediate();
  }
  await setImmediate();
  const bodies = [
    ...Buffer.concat(pieces)
      .toString("latin1")
      .matchAll(/([A-Z])\1{8999}/g),
  ].map(([body]) => body);
  expect(bodies).toEqual(payloads);
});

test("what the driver is to write comes behind what was written before", () => {
  const { driver, pieces } = driverChannel();
  const writer = channelWriter(driver, "orders");
  writer?.publish(message(), "orders", ignore);
  expect(writer?.publish(message("x".repeat(20_000)), "orders", ignore)).toBe(false);
  writer?.flush();
  expect(pieces).toHaveLength(1);
});

test("a channel that has ended takes nothing, and forgets what it has not handed over", async () => {
  const ends = [
    ({ connection }: ReturnType<typeof driverChannel>) => (connection.channels[1] = null),
    ({ driver }: ReturnType<typeof driverChannel>) => Object.assign(driver, { sendMessage: ignore }),
    ({ connection }: ReturnType<typeof driverChannel>) => Object.assign(connection, { sendMessage: ignore }),
  ];
  for (const end of ends) {
    const fake = driverChannel();
    const writer = channelWriter(fake.driver, "orders");
    expect(writer?.publish(message(), "orders", ignore)).toBe(true);
    end(fake);
    expect(writer?.publish(message(), "orders", ignore)).toBe(false);
    await setImmediate();
    expect([fake.pieces.length, fake.callbacks.length]).toEqual([0, 1]);
  }
});

test("a driver that is not as we know it writes by itself", () => {
  const { driver } = driverChannel();
  expect(channelWriter({ ...driver, connection: {} } as unknown as DriverConfirmChannel, "orders")).toBeNull();
  expect(channelWriter({ publish: () => true } as unknown as DriverConfirmChannel, "orders")).toBeNull();
});
