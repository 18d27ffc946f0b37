import { catalogue, isWaybillError, type Message, message } from "@waybill/core";
import { describe, expect, it } from "vitest";
import { checkMessage } from "./check-message.ts";

const shop = catalogue({
  source: "/order-service",
  placed: message<{ n: number }>({ type: "shop.order.placed.v1", topic: "orders", key: ({ n }) => String(n) }),
});
const placed = shop.placed({ n: 1 }, { headers: { "x-tenant": "a" } });

function refusal(given: unknown): { code: string; facts: unknown; message: string } {
  try {
    checkMessage(given as Message);
  } catch (error) {
    if (isWaybillError(error)) return { code: error.code, facts: error.facts, message: error.message };
    throw error;
  }
  throw new Error("It was accepted.");
}

describe("checking a message before it is written", () => {
  it("what a catalogue made passes", () => {
    checkMessage(placed);
    checkMessage({ ...placed, key: null, payload: new Uint8Array(3), headers: new Map() });
  });

  it.each<[string, unknown, string]>([
    ["type", { ...placed, type: "" }, "type"],
    ["type", { ...placed, type: 7 }, "type"],
    ["topic", { ...placed, topic: "" }, "topic"],
    ["topic", { ...placed, topic: "a b" }, "topic"],
    ["key", { ...placed, key: undefined }, "key"],
    ["key", { ...placed, key: 7 }, "key"],
    ["key", { ...placed, key: "k\n" }, "key"],
    ["key", { ...placed, key: "\ud800" }, "key"],
    ["payload", { ...placed, payload: "\udfff" }, "payload"],
    ["payload", { ...placed, payload: { n: 1 } }, "payload"],
    ["payload", { ...placed, payload: undefined }, "payload"],
    ["id", { ...placed, ownId: "order-1" }, "id"],
    ["id", { ...placed, ownId: undefined }, "id"],
    ["entry instead of a message", shop.placed, "type"],
    ["nothing", undefined, "type"],
  ])("a wrong %s is refused and named", (_, given, field) => {
    expect(refusal(given)).toMatchObject({ code: "WAYBILL_MESSAGE_INVALID", facts: { field } });
  });

  it.each<[string, unknown, string]>([
    ["no map", { a: "b" }, "*"],
    ["a line break in a value", new Map([["x-a", "b\r\nc"]]), "x-a"],
    ["a lone surrogate in a value", new Map([["x-a", "\ud800"]]), "x-a"],
    ["a reserved name", new Map([["ce-id", "1"]]), "ce-id"],
    ["a name in capitals", new Map([["X-A", "1"]]), "X-A"],
    ["a source that is no URI reference", new Map([["ce-source", "a b"]]), "ce-source"],
    ["a content type that is none", new Map([["content-type", "json\r\n"]]), "content-type"],
    ["a value that is no text", new Map<string, unknown>([["ce-source", 7]]), "ce-source"],
    ["64 KiB", new Map([["x-a", "a".repeat(65_536)]]), "*"],
  ])("headers with %s are refused and named", (_, headers, header) => {
    expect(refusal({ ...placed, headers })).toMatchObject({ code: "WAYBILL_HEADERS_INVALID", facts: { header } });
  });

  it("a message of exactly the limit passes, one byte more does not", () => {
    const other = [...placed.headers].reduce((bytes, [name, value]) => bytes + name.length + value.length, 1);
    checkMessage({ ...placed, payload: "x".repeat(1_000_000 - other) });
    expect(refusal({ ...placed, payload: "x".repeat(1_000_001 - other) })).toMatchObject({ code: "WAYBILL_PAYLOAD_TOO_LARGE" });
  });

  it("no error repeats a value", () => {
    for (const given of [
      { ...placed, key: "secret\n" },
      { ...placed, payload: "secret\ud800" },
      { ...placed, headers: new Map([["x-a", "secret\n"]]) },
      { ...placed, headers: new Map([["ce-source", "secret value"]]) },
    ]) {
      expect(JSON.stringify(refusal(given))).not.toContain("secret");
    }
  });
});
