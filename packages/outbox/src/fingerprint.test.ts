import { createHash } from "node:crypto";
import type { Message } from "@waybill/core";
import { expect, it } from "vitest";
import { fingerprint } from "./fingerprint.ts";

const made: Message = { ownId: null, type: "t.v1", topic: "orders", key: "k", headers: new Map(), payload: "{}" };

it("a fingerprint is what the row format says", () => {
  expect(fingerprint(made)).toBe(createHash("sha256").update("t.v1\norders\nk\n+{}").digest("hex"));
  expect(fingerprint({ ...made, key: null, payload: null })).toBe(createHash("sha256").update("t.v1\norders\n\n-").digest("hex"));
});

it("type, topic, key and payload make it, headers and the form of the payload do not", () => {
  const others: Partial<Message>[] = [
    { type: "t.v2" },
    { topic: "payments" },
    { key: null },
    { key: "l" },
    { payload: "{ }" },
    { payload: "" },
    { payload: null },
  ];
  const all = [made, ...others.map((other) => ({ ...made, ...other }))].map(fingerprint);
  expect(new Set(all).size).toBe(all.length);
  expect(fingerprint({ ...made, headers: new Map([["traceparent", "x"]]), payload: Buffer.from("{}") })).toBe(fingerprint(made));
});
