import { expect, test } from "vitest";
import { type ArrivedMessage, receivedMessage } from "./received-message.ts";

const otherwise = { topic: "orders", key: "k", createdAtMs: 5 };
const envelope = {
  specversion: "1.0",
  id: "m",
  type: "t",
  source: "/s",
  topic: "logical",
  partitionkey: "p",
  sequence: "7",
  time: "1970-01-01T00:00:01Z",
};
const received = (attributes: Readonly<Record<string, string>>, given: Partial<ArrivedMessage> = {}) =>
  receivedMessage({ attributes: new Map(Object.entries(attributes)), headers: [], payload: null, otherwise, ...given });

test("an envelope says everything", () => {
  expect(received(envelope)).toEqual({
    id: "m",
    type: "t",
    topic: "logical",
    key: "p",
    headers: new Map([["ce-source", "/s"]]),
    payload: null,
    sequence: 7n,
    createdAtMs: 1_000,
  });
});

test("what it leaves out, the broker says", () => {
  expect(received({ specversion: "1.0", id: "m", type: "t", source: "/s" })).toMatchObject({
    topic: "orders",
    key: "k",
    createdAtMs: 5,
    sequence: null,
  });
});

test.each([
  ["id", "", { id: "" }],
  ["type", "a\nb", { type: "" }],
  ["source", "two words", { headers: new Map() }],
  ["time", "1970-13-45T99:99:99Z", { createdAtMs: 5 }],
  ["topic", "a/b", { topic: "orders" }],
  ["partitionkey", "", { key: "k" }],
  ["sequence", "-1", { sequence: null }],
])("an unusable %s is left out, and the rest stays", (name, value, expected) => {
  expect(received({ ...envelope, [name]: value })).toEqual({ ...received(envelope), ...expected });
});

test.each(["0.3", "", "2.0"])("an envelope of version '%s' means nothing", (specversion) => {
  expect(received({ ...envelope, specversion })).toEqual({
    ...otherwise,
    id: "",
    type: "",
    headers: new Map(),
    payload: null,
    sequence: null,
  });
});

test("extension attributes and headers are kept as far as a message may have them", () => {
  const headers = [
    ["content-type", "text/plain"],
    ["x", "1"],
    ["waybill-y", "2"],
    ["host", "h"],
    ["bad", "a\u0000b"],
  ] as const;
  expect([...received({ ...envelope, tenant: "t1", "Odd Name": "x", broken: "a\nb" }, { headers }).headers]).toEqual([
    ["content-type", "text/plain"],
    ["x", "1"],
    ["ce-tenant", "t1"],
    ["ce-source", "/s"],
  ]);
});
