import { CloudEvent, HTTP } from "cloudevents";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromCloudEvent, toCloudEvent } from "./cloud-events.ts";
import type { OutgoingMessage } from "./message.ts";

const outgoing: OutgoingMessage = {
  id: "0190f3b2-7c1e-7d50-8f6f-3b1c8f0a7c11",
  type: "shop.order.placed.v1",
  topic: "orders",
  key: "order-1",
  headers: new Map([
    ["ce-source", "/order-service"],
    ["content-type", "application/json"],
  ]),
  payload: Buffer.from('{"orderId":"order-1"}'),
  sequence: 42n,
  createdAtMs: 1_800_000_000_123,
};
const attributes = toCloudEvent(outgoing);

function problemWith(changes: Record<string, string | undefined>): string {
  const answer = fromCloudEvent({ ...attributes, ...changes }, new Map(), null);
  return "problem" in answer ? answer.problem : "none";
}

test("a message becomes the attributes of CloudEvents 1.0", () => {
  expect(attributes).toEqual({
    specversion: "1.0",
    id: outgoing.id,
    source: "/order-service",
    type: "shop.order.placed.v1",
    time: "2027-01-15T08:00:00.123Z",
    topic: "orders",
    sequence: "42",
    partitionkey: "order-1",
  });
});

test("a message without a key has no partitionkey, and one without a source comes from /", () => {
  const { partitionkey, source } = toCloudEvent({ ...outgoing, key: null, headers: new Map() });
  expect(partitionkey).toBeUndefined();
  expect(source).toBe("/");
});

test("a message comes back as it was", () => {
  const keys = fc.option(fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }).filter((key) => Buffer.byteLength(key) <= 255));
  fc.assert(
    fc.property(keys, fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), fc.integer({ min: 0, max: 4e12 }), (key, sequence, createdAtMs) => {
      const message = { ...outgoing, key, sequence, createdAtMs };
      const { "ce-source": _, ...plain } = Object.fromEntries(message.headers);
      expect(fromCloudEvent(toCloudEvent(message), new Map(Object.entries(plain)), message.payload)).toEqual({ message });
    }),
  );
});

test("a time that RFC 3339 cannot write becomes the nearest that it can, and comes back", () => {
  const first = -62_167_219_200_000;
  const last = 253_402_300_799_999;
  const times: readonly (readonly [number, string, number])[] = [
    [last, "9999-12-31T23:59:59.999Z", last],
    [last + 1, "9999-12-31T23:59:59.999Z", last],
    [9e15, "9999-12-31T23:59:59.999Z", last],
    [Number.POSITIVE_INFINITY, "9999-12-31T23:59:59.999Z", last],
    [first, "0000-01-01T00:00:00.000Z", first],
    [first - 1, "0000-01-01T00:00:00.000Z", first],
    [Number.NEGATIVE_INFINITY, "0000-01-01T00:00:00.000Z", first],
  ];
  for (const [createdAtMs, time, readAs] of times) {
    const sent = toCloudEvent({ ...outgoing, createdAtMs });
    expect(sent["time"]).toBe(time);
    const answer = fromCloudEvent(sent, new Map(), null);
    expect("message" in answer && answer.message.createdAtMs).toBe(readAs);
  }
});

test("a foreign event without our extensions is received", () => {
  const foreign = { specversion: "1.0", id: "A234-1234", source: "https://example.org/x", type: "org.example.done" };
  expect(fromCloudEvent(foreign, new Map(), null)).toEqual({
    message: {
      id: "A234-1234",
      type: "org.example.done",
      topic: null,
      key: null,
      headers: new Map([["ce-source", "https://example.org/x"]]),
      payload: null,
      sequence: null,
      createdAtMs: null,
    },
  });
});

test("a sequence that is no position of a ledger is read as none", () => {
  for (const sequence of ["A001", "-1", "", "9223372036854775808", "1".repeat(20)]) {
    const answer = fromCloudEvent({ ...attributes, sequence }, new Map(), null);
    expect("message" in answer && answer.message.sequence).toBeNull();
  }
});

test("the first attribute that is missing or malformed is named", () => {
  expect(problemWith({ specversion: undefined })).toBe("specversion");
  expect(problemWith({ specversion: "0.3" })).toBe("specversion");
  for (const id of [undefined, "", "a\u0000", "a".repeat(256)]) expect(problemWith({ id })).toBe("id");
  for (const type of [undefined, "", "a\n", "a".repeat(256)]) expect(problemWith({ type })).toBe("type");
  for (const source of [undefined, "", "/a b"]) expect(problemWith({ source })).toBe("source");
  for (const topic of ["", "a/b", "a".repeat(250)]) expect(problemWith({ topic })).toBe("topic");
  for (const partitionkey of ["", "a\u0000", "a".repeat(256)]) expect(problemWith({ partitionkey })).toBe("partitionkey");
  for (const time of ["", "1", "yesterday", "2027-01-15", "2027-13-15T08:00:00Z", "2027-01-15T08:00:00"])
    expect(problemWith({ time })).toBe("time");
  expect(problemWith({ time: "2027-01-15T09:00:00.123456789+01:00" })).toBe("none");
});

test("the CloudEvents SDK reads what we send, and we what it sends", () => {
  const headers: Record<string, string> = { "content-type": "application/json" };
  for (const [name, value] of Object.entries(attributes)) headers[`ce-${name}`] = value;
  const theirs = HTTP.toEvent({ headers, body: '{"orderId":"order-1"}' }) as CloudEvent<unknown>;
  theirs.validate();
  expect(theirs).toMatchObject({
    id: outgoing.id,
    source: "/order-service",
    type: outgoing.type,
    partitionkey: "order-1",
    data: { orderId: "order-1" },
  });

  const sent = HTTP.binary(
    new CloudEvent({ id: "7", source: "/stock", type: "shop.stock.reserved.v1", partitionkey: "order-1", data: { ok: true } }),
  );
  const received: Record<string, string> = {};
  for (const [name, value] of Object.entries(sent.headers)) if (name.startsWith("ce-")) received[name.slice(3)] = String(value);
  const answer = fromCloudEvent(received, new Map(), Buffer.from(String(sent.body)));
  expect(answer).toMatchObject({ message: { id: "7", type: "shop.stock.reserved.v1", key: "order-1", createdAtMs: expect.any(Number) } });
});
