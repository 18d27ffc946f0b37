import { expect, test } from "vitest";
import type { ConsumedRecord } from "./consumer-client.ts";
import { receivedRecord } from "./received-record.ts";

const text = (value: string): Uint8Array => Buffer.from(value);
const headersOf = (headers: Readonly<Record<string, string>>): ConsumedRecord["headers"] =>
  Object.entries(headers).map(([name, value]) => [name, text(value)] as const);
const envelope = { ce_specversion: "1.0", ce_id: "m1", ce_type: "placed.v1", ce_source: "/shop", ce_time: "2026-11-21T10:00:00.123Z" };
const record = (given: Partial<ConsumedRecord>): ConsumedRecord => ({
  offset: 7n,
  key: null,
  value: text("{}"),
  headers: headersOf(envelope),
  timestampMs: 1_000,
  ...given,
});
const messageOf = (given: Partial<ConsumedRecord>) => receivedRecord(record(given), "orders").message;

test("a record in binary mode is the message that was sent", () => {
  const headers = headersOf({
    ...envelope,
    ce_partitionkey: "k",
    ce_sequence: "12",
    ce_topic: "logical",
    "content-type": "application/json",
    traceparent: "x",
  });
  expect(messageOf({ key: text("other"), headers })).toEqual({
    id: "m1",
    type: "placed.v1",
    topic: "logical",
    key: "k",
    headers: new Map([
      ["content-type", "application/json"],
      ["traceparent", "x"],
      ["ce-source", "/shop"],
    ]),
    payload: text("{}"),
    sequence: 12n,
    createdAtMs: Date.parse("2026-11-21T10:00:00.123Z"),
  });
});

test("topic, key and time of the record stand in for what the envelope leaves out", () => {
  const { ce_time: _, ...timeless } = envelope;
  expect(messageOf({ key: text("order 1"), headers: headersOf(timeless) })).toMatchObject({
    topic: "orders",
    key: "order 1",
    createdAtMs: 1_000,
    sequence: null,
  });
  expect(messageOf({ headers: headersOf(timeless), timestampMs: -1 }).createdAtMs).toBeNull();
});

test("a tombstone and an empty payload are two things", () => {
  expect(messageOf({ value: null }).payload).toBeNull();
  expect(messageOf({ value: text("") }).payload).toEqual(text(""));
});

test("an event in structured mode is taken out of its value", () => {
  const value = text('{"specversion":"1.0","id":"s1","type":"paid.v1","source":"/pay","partitionkey":"p","data":{"n": 1.0}}');
  expect(
    messageOf({ value, headers: headersOf({ "content-type": "application/cloudevents+json; charset=UTF-8", note: "x" }) }),
  ).toMatchObject({
    id: "s1",
    type: "paid.v1",
    key: "p",
    topic: "orders",
    payload: text('{"n": 1.0}'),
    headers: new Map([
      ["note", "x"],
      ["content-type", "application/json"],
      ["ce-source", "/pay"],
    ]),
  });
});

test("a stranger's record has no id and no type, and keeps its value, key and time", () => {
  expect(messageOf({ headers: [], key: text("k"), value: text("anything") })).toEqual({
    id: "",
    type: "",
    topic: "orders",
    key: "k",
    headers: new Map(),
    payload: text("anything"),
    sequence: null,
    createdAtMs: 1_000,
  });
  expect(messageOf({ headers: headersOf({ "content-type": "application/cloudevents+json" }), value: text("{") })).toMatchObject({
    id: "",
    payload: text("{"),
  });
});

test("an envelope of another version is none", () => {
  expect(messageOf({ headers: headersOf({ ...envelope, ce_specversion: "0.3" }) })).toMatchObject({ id: "", type: "" });
});

test("an attribute that cannot be used is left out, and the id stays", () => {
  const headers = headersOf({
    ...envelope,
    ce_type: "",
    ce_time: "yesterday",
    ce_source: "two words",
    ce_topic: "a b",
    ce_partitionkey: "a\nb",
    ce_sequence: "-1",
  });
  expect(messageOf({ headers, key: text("k") })).toMatchObject({
    id: "m1",
    type: "",
    topic: "orders",
    key: "k",
    sequence: null,
    createdAtMs: 1_000,
    headers: new Map(),
  });
  expect(messageOf({ headers: headersOf({ ...envelope, ce_id: "x".repeat(256) }) }).id).toBe("");
});

test("headers that a message may not have, and bytes that are no text, are left out", () => {
  const headers: ConsumedRecord["headers"] = [
    ...headersOf(envelope),
    ...headersOf({
      "waybill-x": "1",
      authorization: "secret",
      "Upper-Case": "x",
      __proto__x: "x",
      constructor: "y",
      "line-break": "a\r\nb",
      fine: "Grüße",
    }),
    ["__proto__", text("polluted")],
    ["not-text", Uint8Array.of(0xff)],
    ["nothing", null],
    ["ce_id", null],
    ["ce_custom", text("kept")],
    ["ce_Custom Name", text("x")],
  ];
  expect(messageOf({ headers }).headers).toEqual(
    new Map([
      ["constructor", "y"],
      ["fine", "Grüße"],
      ["ce-custom", "kept"],
      ["ce-source", "/shop"],
    ]),
  );
  expect(messageOf({ headers }).id).toBe("m1");
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

test("ten thousand headers become as many as a message may have", () => {
  const many: ConsumedRecord["headers"] = Array.from({ length: 10_000 }, (_, n) => [`h${n}`, text("v")] as const);
  expect(messageOf({ headers: [...headersOf(envelope), ...many] }).headers.size).toBeLessThanOrEqual(65);
  const long: ConsumedRecord["headers"] = Array.from({ length: 10 }, (_, n) => [`h${n}`, text("v".repeat(4_000))] as const);
  expect(messageOf({ headers: [...headersOf(envelope), ...long] }).headers.size).toBe(3);
});

test("a name that repeats means its last value", () => {
  expect(messageOf({ headers: [...headersOf(envelope), ["ce_id", text("m2")], ["x", text("1")], ["x", text("2")]] })).toMatchObject({
    id: "m2",
  });
});

test("keys that are no text of ours keep their order under another name", () => {
  const keyOf = (key: Uint8Array | null): string | null => messageOf({ headers: [], key }).key;
  expect(keyOf(text("Käufer 世界"))).toBe("Käufer 世界");
  expect(keyOf(Uint8Array.of(0, 0, 1))).toBe("0x000001");
  expect(keyOf(Buffer.alloc(300, "k"))).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(keyOf(new Uint8Array(0))).toBeNull();
  expect(keyOf(null)).toBeNull();
});

test("what a record takes of our memory is never nothing", () => {
  expect(receivedRecord(record({ value: null, headers: [] }), "t").bytes).toBeGreaterThan(0);
  expect(receivedRecord(record({ value: new Uint8Array(5_000) }), "t").bytes).toBeGreaterThan(5_000);
});
