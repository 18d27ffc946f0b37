import type { OutgoingMessage } from "@waybill/core";
import { describe, expect, test } from "vitest";
import { fromDelivery, toPublish } from "./binary-mode.ts";
import type { DriverProperties } from "./driver.ts";

const message: OutgoingMessage = {
  id: "01890a5d-ac96-774b-bcce-b302099a8057",
  type: "shop.order.placed.v1",
  topic: "orders",
  key: "order-42",
  headers: new Map([
    ["ce-source", "/order-service"],
    ["content-type", "application/json"],
    ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    ["greeting", "Grüße 100%"],
  ]),
  payload: Buffer.from("{}"),
  sequence: 7n,
  createdAtMs: 1_700_000_000_123,
};

function published(given: Partial<OutgoingMessage> = {}): Extract<ReturnType<typeof toPublish>, { content: Buffer }> {
  const made = toPublish({ ...message, ...given });
  if ("problem" in made) throw new Error(made.problem);
  return made;
}

function problemOf(given: Partial<OutgoingMessage>): string | null {
  const made = toPublish({ ...message, ...given });
  return "problem" in made ? made.problem : null;
}

describe("a message that is published", () => {
  test("is mandatory and persistent and carries its envelope in properties and headers", () => {
    expect(published().options).toEqual({
      mandatory: true,
      persistent: true,
      messageId: message.id,
      type: "shop.order.placed.v1",
      contentType: "application/json",
      timestamp: 1_700_000_000,
      headers: {
        cloudEvents_specversion: "1.0",
        cloudEvents_id: message.id,
        cloudEvents_source: "/order-service",
        cloudEvents_type: "shop.order.placed.v1",
        cloudEvents_time: "2023-11-14T22:13:20.123Z",
        cloudEvents_topic: "orders",
        cloudEvents_sequence: "7",
        cloudEvents_partitionkey: "order-42",
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        greeting: "Grüße 100%",
      },
    });
  });

  test("carries what is said about its delivery", () => {
    const headers = new Map([...message.headers, ["waybill-delivery-id", "42-00c0ffee00c0ffee"] as const]);
    expect(published({ headers }).options.headers).toMatchObject({ "waybill-delivery-id": "42-00c0ffee00c0ffee", greeting: "Grüße 100%" });
  });

  test("has a record time that the property can hold, whatever the row says", () => {
    expect(published({ createdAtMs: -1 }).options.timestamp).toBe(0);
  });

  test("is refused when its headers address the broker or us", () => {
    expect(problemOf({ headers: new Map([["CC", "elsewhere"]]) })).toBe("headersInvalid");
    expect(problemOf({ headers: new Map([["waybill-payload", "empty"]]) })).toBe("headersInvalid");
    expect(problemOf({ headers: new Map([["cloudEvents_id", "another"]]) })).toBe("headersInvalid");
  });
});

describe("a message that arrives", () => {
  const arrived = (properties: DriverProperties, content: Buffer = Buffer.from("{}"), exchange = "orders") =>
    fromDelivery({
      fields: { consumerTag: "c", deliveryTag: 1, redelivered: false, exchange, routingKey: "orders" },
      properties,
      content,
    });

  test("is the one that was published", () => {
    for (const given of [{}, { key: null }, { payload: null }, { payload: new Uint8Array(0) }]) {
      const sent = { ...message, ...given };
      const { options, content } = published(given);
      expect(arrived(options, content, "another")).toEqual({ ...sent, payload: sent.payload === null ? null : Buffer.from(sent.payload) });
    }
  });

  test("may spell its attributes with a colon, and have more of them", () => {
    const headers = {
      "cloudEvents:specversion": "1.0",
      "cloudEvents:id": "a",
      "cloudEvents:source": "/x",
      "cloudEvents:type": "t",
      "cloudEvents:subject": "s",
    };
    const expected = new Map([
      ["ce-subject", "s"],
      ["ce-source", "/x"],
    ]);
    expect(arrived({ headers })).toMatchObject({ id: "a", type: "t", headers: expected });
  });

  test("without CloudEvents headers is read from its properties and its exchange", () => {
    const properties = {
      messageId: "m-1",
      type: "legacy",
      appId: "/billing",
      timestamp: 1_700_000_000,
      headers: { "x-retries": 3, "X-Tenant": "t" },
    };
    expect(arrived(properties)).toEqual({
      id: "m-1",
      type: "legacy",
      topic: "orders",
      key: null,
      headers: new Map([
        ["x-retries", "3"],
        ["x-tenant", "t"],
        ["ce-source", "/billing"],
      ]),
      payload: Buffer.from("{}"),
      sequence: null,
      createdAtMs: 1_700_000_000_000,
    });
    expect(arrived({}, Buffer.from("x"), "")).toMatchObject({ id: "", type: "", topic: null, createdAtMs: null });
    expect(arrived({ messageId: "m-1", timestamp: Number.MAX_SAFE_INTEGER })).toMatchObject({ id: "m-1", type: "", createdAtMs: null });
  });

  test("is a message whatever is in it: what cannot be used is left out, and the inbox decides", () => {
    const hostile = JSON.parse('{ "__proto__": { "x-delivery-count": 99 }, "constructor": "c", "cloudEvents___proto__": "p" }') as object;
    const headers = {
      ...hostile,
      cloudEvents_specversion: "1.0",
      cloudEvents_id: "i".repeat(300),
      cloudEvents_type: "line\nbreak",
      cloudEvents_partitionkey: "\u0000",
      cloudEvents_time: "yesterday",
      cloudEvents_sequence: "-1",
      cloudEvents_topic: "a b",
      "line\nbreak": "v",
      value: "line\nbreak",
      huge: "v".repeat(100_000),
      host: "elsewhere",
      bytes: Buffer.from("b"),
      at: { "!": "timestamp", value: 1 },
    };
    const read = arrived({ headers, contentType: "no media type" });
    expect(read).toMatchObject({ id: "", type: "", topic: "orders", key: null, sequence: null, createdAtMs: null });
    expect([...read.headers]).toEqual([["constructor", "c"]]);
    expect(arrived({ headers: { cloudEvents_specversion: "0.3", cloudEvents_id: "a", cloudEvents_type: "t" } })).toMatchObject({
      id: "",
      type: "",
    });
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`h${n}`, "v"]));
    expect(arrived({ messageId: "m", type: "t", headers: many }).headers.size).toBeLessThanOrEqual(65);
  });

  test("leaves behind what the broker wrote into its headers, and what has no plain text", () => {
    const { options } = published();
    const headers = {
      ...options.headers,
      "x-delivery-count": 2,
      "x-death": [{ queue: "q" }],
      "x-first-death-queue": "q",
      nested: { a: 1 },
    };
    const read = arrived({ ...options, headers });
    expect([...read.headers.keys()].toSorted()).toEqual(["ce-source", "content-type", "greeting", "traceparent"]);
  });
});
