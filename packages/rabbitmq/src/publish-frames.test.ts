import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { OutgoingMessage } from "@waybill/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { toPublish } from "./binary-mode.ts";
import { publishFrames } from "./publish-frames.ts";

interface Frame {
  readonly channel: number;
  readonly id?: number;
  readonly size?: number;
  readonly fields?: Record<string, unknown>;
  readonly content?: Buffer;
}
const require = createRequire(import.meta.url);
const { parseFrame, decodeFrame } = require(join(dirname(require.resolve("amqplib")), "lib", "frame.js")) as {
  parseFrame(bytes: Buffer, max: number): { readonly rest: Buffer } | false;
  decodeFrame(frame: object): Frame;
};

/** The frames, as the driver reads what comes from a broker. */
function read(bytes: Buffer): readonly Frame[] {
  const frames: Frame[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const frame = parseFrame(rest, 0);
    if (frame === false) throw new Error("a frame is cut off");
    frames.push(decodeFrame(frame));
    rest = frame.rest;
  }
  return frames;
}

const message: OutgoingMessage = {
  id: "0190f3b2-7c1e-7d50-8f6f-3b1c8f0a7c11",
  type: "shop.order.placed.v1",
  topic: "orders",
  key: "order-1",
  headers: new Map([
    ["ce-source", "/order-service"],
    ["content-type", "application/json"],
    ["traceparent", "00-1-2-01"],
  ]),
  payload: Buffer.from('{"orderId":"order-1"}'),
  sequence: 42n,
  createdAtMs: 1_800_000_000_123,
};

/** Written into the middle of a piece, where other bytes lie. */
function framesOf(frames: ReturnType<typeof publishFrames>, given: OutgoingMessage, routingKey: string): Buffer | null {
  const needed = frames.bytesMax(given, routingKey);
  if (needed === null) return null;
  const piece = Buffer.alloc(needed + 10, 0xaa);
  const end = frames.write(piece, 5);
  if (end === null) return null;
  expect(end - 5).toBeLessThanOrEqual(needed);
  expect(piece.subarray(end).every((byte) => byte === 0xaa)).toBe(true);
  return piece.subarray(5, end);
}

function expectSame(bytes: Buffer | null, given: OutgoingMessage, routingKey: string): void {
  const made = toPublish(given);
  if ("problem" in made) throw new Error(made.problem);
  const [method, header, ...body] = read(bytes ?? Buffer.alloc(0));
  expect(method).toMatchObject({ channel: 300, fields: { exchange: "orders", routingKey, mandatory: true, immediate: false } });
  const { mandatory: _, persistent: __, ...properties } = made.options;
  expect(header).toMatchObject({ channel: 300, size: made.content.length, fields: { ...properties, deliveryMode: 2 } });
  expect(header?.fields?.["headers"]).toEqual(made.options.headers);
  expect(Buffer.concat(body.map(({ content }) => content ?? Buffer.alloc(0))).equals(made.content)).toBe(true);
}

test("what is written says what the driver is told, whatever was written before", () => {
  const frames = publishFrames(300, "orders");
  const text = (max: number) => fc.string({ unit: "grapheme", minLength: 1, maxLength: max });
  // A few types and sets of headers, each used by several messages.
  const headerSets = [
    message.headers,
    new Map([["x-tenant", "ünï"]]),
    new Map<string, string>(),
    new Map([["content-type", "text/plain"]]),
  ];
  const messages = fc.record({
    id: text(60),
    type: fc.constantFrom("shop.order.placed.v1", "shop.order.paid.v1", "t"),
    topic: fc.constantFrom("orders", "payments"),
    key: fc.option(text(60)),
    headers: fc.constantFrom(...headerSets),
    payload: fc.option(fc.uint8Array({ minLength: 1, maxLength: 300 })),
    sequence: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
    createdAtMs: fc.integer({ min: -4e12, max: 4e14 }),
  });
  fc.assert(
    fc.property(messages, fc.constantFrom("orders", "orders.7"), (given, routingKey) => {
      expectSame(framesOf(frames, given, routingKey), given, routingKey);
    }),
    { numRuns: 500 },
  );
});

test("a map of headers that somebody wrote to since is read anew", () => {
  const frames = publishFrames(300, "orders");
  const headers = new Map([["x-tenant", "a"]]);
  const given = { ...message, headers };
  framesOf(frames, given, "orders");
  for (const change of [() => headers.set("x-tenant", "b"), () => headers.set("x-more", "1"), () => headers.delete("x-tenant")]) {
    change();
    expectSame(framesOf(frames, given, "orders"), given, "orders");
  }
});

test("more types and headers than are kept are written like any", () => {
  const frames = publishFrames(300, "orders");
  for (let turn = 0; turn < 600; turn += 1) {
    const given = { ...message, type: `shop.order.${turn % 7}.v${turn % 90}`, headers: new Map([["traceparent", `00-${turn}`]]) };
    expectSame(framesOf(frames, given, "orders"), given, "orders");
    expectSame(framesOf(frames, message, "orders"), message, "orders");
  }
});

test("what is not an everyday message is left to the driver", () => {
  const frames = publishFrames(300, "orders");
  const odd: readonly Partial<OutgoingMessage>[] = [
    { id: "i".repeat(256) },
    { id: "ü".repeat(200) },
    { type: "t".repeat(256) },
    { headers: new Map([["x-a", "line\nbreak"]]) },
    { payload: new Uint8Array() },
    { createdAtMs: Number.NaN },
    { createdAtMs: Number.POSITIVE_INFINITY },
  ];
  for (const given of odd) expect(framesOf(frames, { ...message, ...given }, "orders"), Object.keys(given).join()).toBeNull();
  expect(framesOf(frames, message, "k".repeat(256))).toBeNull();
  expectSame(framesOf(frames, message, "orders"), message, "orders");
});
