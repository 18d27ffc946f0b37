import { expect, test } from "vitest";
import { z } from "zod";
import { catalogue, checkSize, isFromCatalogue, type MessageDetails, message, messageOfType } from "./catalogue.ts";
import { isWaybillError, type WaybillErrorCode, type WaybillErrorFacts } from "./errors.ts";
import { limits } from "./limits.ts";

interface OrderPlaced {
  readonly orderId: string;
  readonly totalCents: number;
}

const shop = catalogue({
  source: "/order-service",
  orderPlaced: message<OrderPlaced>({ type: "shop.order.placed.v1", topic: "orders", key: (order) => order.orderId }),
  paymentCaptured: message({
    type: "shop.payment.captured.v1",
    topic: "payments",
    payload: z.object({
      paymentId: z.string(),
      totalCents: z.number().int(),
      paidAt: z.iso
        .datetime()
        .transform((text) => new Date(text))
        .optional(),
    }),
    key: (payment) => payment.paymentId,
  }),
  labelPrinted: message<Uint8Array | string>({ type: "shop.label.printed.v1", topic: "labels", contentType: "application/octet-stream" }),
  noteWritten: message<{ text: string } | null>({
    type: "shop.note.written.v1",
    topic: "notes",
    contentType: "application/vnd.shop.note+json",
  }),
});

const placed: OrderPlaced = { orderId: "order-1", totalCents: 1250 };

function refusal<Code extends WaybillErrorCode>(code: Code, run: () => unknown): { facts: WaybillErrorFacts[Code]; message: string } {
  try {
    run();
  } catch (error) {
    if (isWaybillError(error, code)) return { facts: error.facts, message: error.message };
    throw error;
  }
  throw new Error("nothing was refused");
}

const textOf = (payload: string | Uint8Array | null): string => (typeof payload === "string" ? payload : "no text");
const bytesOf = (text: string): Uint8Array => Buffer.from(text, "utf8");

test("an entry makes an immutable message of its type", () => {
  const made = shop.orderPlaced(placed);
  expect(made).toEqual({
    ownId: null,
    type: "shop.order.placed.v1",
    topic: "orders",
    key: "order-1",
    headers: new Map([
      ["ce-source", "/order-service"],
      ["content-type", "application/json"],
    ]),
    payload: '{"orderId":"order-1","totalCents":1250}',
  });
  expect(Object.isFrozen(made)).toBe(true);
  expect([shop.orderPlaced.type, shop.orderPlaced.topic]).toEqual(["shop.order.placed.v1", "orders"]);
});

test("an entry reads what it made", () => {
  expect(shop.orderPlaced.read(bytesOf(textOf(shop.orderPlaced(placed).payload)))).toEqual(placed);
});

test("an id of one's own, headers and a trace travel with the message", () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const made = shop.orderPlaced(placed, {
    id: "0B5F4A52-3C0E-5D50-8F6F-3B1C8F0A7C11",
    headers: { "tenant-id": "acme" },
    trace: { traceparent },
  });
  expect(made.ownId).toBe("0b5f4a52-3c0e-5d50-8f6f-3b1c8f0a7c11");
  expect(made.headers).toEqual(
    new Map([
      ["tenant-id", "acme"],
      ["traceparent", traceparent],
      ["ce-source", "/order-service"],
      ["content-type", "application/json"],
    ]),
  );
});

test("a header cannot take the place of the source or the content type", () => {
  for (const name of ["content-type", "ce-source"]) {
    expect(refusal("WAYBILL_HEADERS_INVALID", () => shop.orderPlaced(placed, { headers: { [name]: "x" } })).facts.header).toBe(name);
  }
});

test("a malformed or oversized trace stops no message", () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  expect(shop.orderPlaced(placed, { trace: { traceparent: "nonsense" } }).headers.has("traceparent")).toBe(false);
  const made = shop.orderPlaced(placed, { trace: { traceparent, baggage: "b".repeat(10_000) } });
  expect([...made.headers.keys()]).toEqual(["traceparent", "ce-source", "content-type"]);
});

test("a key that is no text, empty or too long is refused without being shown", () => {
  const keyed = (key: unknown) =>
    catalogue({ source: "/s", made: message<object>({ type: "a.v1", topic: "a", key: () => key as string }) }).made({});
  for (const key of [424242, "", "k".repeat(256), "424242\n", {}]) {
    const { facts, message: text } = refusal("WAYBILL_MESSAGE_INVALID", () => keyed(key));
    expect(facts.field).toBe("key");
    expect(text).not.toContain("424242");
  }
  expect(keyed(null).key).toBeNull();
  expect(keyed(undefined).key).toBeNull();
});

test("a message without a key function has no key, and a given key goes before the function's", () => {
  expect(shop.noteWritten({ text: "hello" }).key).toBeNull();
  expect(shop.orderPlaced(placed, { key: "customer-1" }).key).toBe("customer-1");
});

test("null is a tombstone, whose key is given", () => {
  expect(shop.noteWritten(null, { key: "note-1" })).toMatchObject({ key: "note-1", payload: null });
  expect(shop.noteWritten.read(null)).toBeNull();
  expect(shop.orderPlaced.read(null)).toBeNull();
});

test("a schema decides about tombstones, too", () => {
  const entries = catalogue({
    source: "/s",
    strict: message({ type: "a.v1", topic: "a", payload: z.object({}) }),
    nullable: message({ type: "b.v1", topic: "b", payload: z.object({}).nullable() }),
  });
  expect(entries.nullable(null, { key: "k" }).payload).toBeNull();
  expect(entries.nullable.read(null)).toBeNull();
  refusal("WAYBILL_PAYLOAD_INVALID", () => entries.strict(null as never));
  refusal("WAYBILL_PAYLOAD_INVALID", () => entries.strict.read(null));
});

test("a payload that breaks its schema is refused at both ends, by path and rule, without its values", () => {
  const broken = { paymentId: "424242", totalCents: 1.5, paidAt: "soon" };
  for (const run of [() => shop.paymentCaptured(broken), () => shop.paymentCaptured.read(bytesOf(JSON.stringify(broken)))]) {
    const { facts, message: text } = refusal("WAYBILL_PAYLOAD_INVALID", run);
    expect(facts).toMatchObject({ type: "shop.payment.captured.v1", issues: [{ path: "/totalCents" }, { path: "/paidAt" }] });
    expect(text).not.toContain("424242");
  }
});

test("a payload broken in thousands of places is refused with the first twenty", () => {
  const numbers = catalogue({ source: "/s", listed: message({ type: "a.v1", topic: "a", payload: z.array(z.number()) }) });
  const { facts } = refusal("WAYBILL_PAYLOAD_INVALID", () => numbers.listed(Array.from({ length: 5_000 }, () => "x") as never));
  expect(facts.issues).toHaveLength(20);
  expect(facts.issues[19]?.path).toBe("/19");
});

test("what travels is the payload as given; what a schema makes of it is read", () => {
  const made = shop.paymentCaptured({ paymentId: "p", totalCents: 1, paidAt: "2027-01-15T08:00:00Z" });
  expect(textOf(made.payload)).toContain('"paidAt":"2027-01-15T08:00:00Z"');
  expect(shop.paymentCaptured.read(bytesOf(textOf(made.payload))).paidAt).toEqual(new Date("2027-01-15T08:00:00Z"));
});

test("a schema that JSON cannot satisfy fails where the message is made, not where it is read", () => {
  const dated = catalogue({ source: "/s", made: message({ type: "a.v1", topic: "a", payload: z.object({ at: z.date() }) }) });
  expect(refusal("WAYBILL_PAYLOAD_INVALID", () => dated.made({ at: new Date(0) })).facts.issues[0]?.path).toBe("/at");
});

test("a schema that validates asynchronously is refused, and its rejection troubles nobody", async () => {
  const rejections: unknown[] = [];
  const onRejection = (reason: unknown): void => void rejections.push(reason);
  process.on("unhandledRejection", onRejection);
  const asynchronous = { "~standard": { version: 1, vendor: "test", validate: () => Promise.reject<never>(new Error("later")) } } as const;
  const entries = catalogue({ source: "/s", made: message({ type: "a.v1", topic: "a", payload: asynchronous }) });
  expect(refusal("WAYBILL_CONFIG_INVALID", () => entries.made({} as never)).facts.problems[0]?.option).toBe("a.v1.payload");
  const refined = z.object({}).refine(() => Promise.resolve(true));
  const viaZod = catalogue({ source: "/s", made: message({ type: "a.v1", topic: "a", payload: refined }) });
  refusal("WAYBILL_CONFIG_INVALID", () => viaZod.made({}));
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", onRejection);
  expect(rejections).toEqual([]);
});

test("a payload that is not JSON travels as text or bytes and is read as bytes", () => {
  const bytes = new Uint8Array([0, 255]);
  expect(shop.labelPrinted(bytes).payload).toBe(bytes);
  expect(shop.labelPrinted("ü").payload).toBe("ü");
  expect(shop.labelPrinted.read(bytes)).toBe(bytes);
  for (const payload of [{ a: 1 }, 7, undefined, "\ud800"]) {
    expect(refusal("WAYBILL_MESSAGE_INVALID", () => shop.labelPrinted(payload as never)).facts.field).toBe("payload");
  }
});

test("content types that end in +json, or have parameters, are JSON", () => {
  expect(textOf(shop.noteWritten({ text: "ü" }).payload)).toBe('{"text":"ü"}');
  const made = (contentType: string) =>
    catalogue({ source: "/s", a: message<object>({ type: "a.v1", topic: "a", contentType }) }).a({ b: 1 }).payload;
  for (const contentType of ["application/json; charset=utf-8", "Application/JSON", "application/cloudevents+json;x=1"])
    expect(made(contentType)).toBe('{"b":1}');
});

test("payload, key and headers together take 1 000 000 bytes and not one more", () => {
  const raw = catalogue({ source: "/s", a: message<string>({ type: "a.v1", topic: "a", contentType: "text/plain", key: () => "kü" }) });
  const overhead = 3 + "ce-source/scontent-typetext/plaintenant-idacme".length;
  const details: MessageDetails = { headers: { "tenant-id": "acme" } };
  expect(textOf(raw.a("x".repeat(1_000_000 - overhead), details).payload)).toHaveLength(1_000_000 - overhead);
  const { facts } = refusal("WAYBILL_PAYLOAD_TOO_LARGE", () => raw.a("x".repeat(1_000_001 - overhead), details));
  expect(facts).toEqual({ type: "a.v1", bytes: 1_000_001, bytesMax: limits.messageBytesMax });
  refusal("WAYBILL_PAYLOAD_TOO_LARGE", () => raw.a("€".repeat(400_000)));
});

test("a message made by hand is checked for key and size", () => {
  const made = {
    ownId: null,
    type: "a.v1",
    topic: "a",
    key: "k",
    headers: new Map<string, string>(),
    payload: new Uint8Array(limits.messageBytesMax - 1),
  };
  expect(() => checkSize(made)).not.toThrow();
  refusal("WAYBILL_PAYLOAD_TOO_LARGE", () => checkSize({ ...made, payload: new Uint8Array(limits.messageBytesMax) }));
  refusal("WAYBILL_MESSAGE_INVALID", () => checkSize({ ...made, key: "" }));
});

test("every problem of a catalogue is reported at once", () => {
  const { facts } = refusal("WAYBILL_CONFIG_INVALID", () =>
    catalogue({
      source: "/my service",
      first: message<object>({ type: "a.v1", topic: "a" }),
      twin: message<object>({ type: "a.v1", topic: "b" }),
      third: message<object>({ type: "a.v1", topic: "c" }),
      nameless: message<object>({ type: "", topic: "a/b" }),
      odd: message<object>({ type: "odd.v1", topic: "odd", key: "orderId" as never, contentType: "json\r\n" }),
      schemaless: message<object>({ type: "schemaless.v1", topic: "x", payload: { parse: () => 1 } } as never),
      plain: { type: "plain.v1", topic: "x" } as never,
      missing: undefined as never,
    }),
  );
  expect(facts.problems.map(({ option }) => option)).toEqual([
    "source",
    "twin.type",
    "third.type",
    "nameless.type",
    "nameless.topic",
    "odd.key",
    "odd.contentType",
    "schemaless.payload",
    "plain",
    "missing",
  ]);
  expect(facts.problems.slice(1, 3).map(({ problem }) => problem)).toEqual(Array(2).fill("a.v1 is already the type of first"));
});

test("a catalogue cannot be changed", () => {
  expect(Object.isFrozen(shop)).toBe(true);
  expect(Object.isFrozen(shop.orderPlaced)).toBe(true);
  expect(Object.keys(shop)).toEqual(["orderPlaced", "paymentCaptured", "labelPrinted", "noteWritten"]);
});

test("an entry is found by its type, an unknown type is an error", () => {
  expect(messageOfType(shop, "shop.payment.captured.v1")).toBe(shop.paymentCaptured);
  expect(refusal("WAYBILL_MESSAGE_TYPE_UNKNOWN", () => messageOfType(shop, "shop.order.lost.v1")).facts).toEqual({
    type: "shop.order.lost.v1",
  });
});

test("a message is known as a catalogue's own, a copy of it is not", () => {
  const made = shop.orderPlaced(placed);
  expect(isFromCatalogue(made)).toBe(true);
  expect(isFromCatalogue({ ...made })).toBe(false);
});
