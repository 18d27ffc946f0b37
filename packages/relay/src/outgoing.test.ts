import type { DeadLetter } from "@waybill/dead-letter";
import type { LedgerRow } from "@waybill/outbox";
import { describe, expect, it } from "vitest";
import { headerParser, isFence, outgoingDeadLetter, outgoingMessage, unreadableReason } from "./outgoing.ts";

const row = (over: Partial<LedgerRow> = {}): LedgerRow => ({
  id: 7n,
  messageId: "m7",
  type: "shop.order.placed.v1",
  topic: "orders",
  key: "k",
  headers: null,
  payload: Buffer.from("{}"),
  isText: true,
  leftBytes: null,
  createdAtMs: 1_700_000_000_000,
  ...over,
});

describe("stored headers", () => {
  const parse = headerParser();

  it("are a JSON object of strings, or none at all", () => {
    expect(parse(null)).toEqual(new Map());
    expect(parse("{}")).toEqual(new Map());
    expect(parse('{"a":"b","traceparent":"00-1-2-01"}')).toEqual(
      new Map([
        ["a", "b"],
        ["traceparent", "00-1-2-01"],
      ]),
    );
  });

  it("may name the source and the content type, which callers may not set", () => {
    expect(parse('{"ce-source":"/shop","content-type":"application/json"}')).toEqual(
      new Map([
        ["ce-source", "/shop"],
        ["content-type", "application/json"],
      ]),
    );
  });

  for (const [what, text] of Object.entries({
    "no JSON": '{"a":',
    "an empty text": "",
    "a list": '["a"]',
    "a text": '"a"',
    "null in JSON": "null",
    "a value that is no text": '{"a":1}',
    "a nested object": '{"a":{}}',
    "a name in capitals": '{"A":"b"}',
    "a reserved name": '{"authorization":"b"}',
    "a reserved prefix": '{"webhook-id":"b"}',
    "a line break in a value": '{"a":"b\\nc"}',
    "a lone surrogate": '{"a":"\\ud800"}',
    "a content type that is none": '{"content-type":"x\\ny"}',
    "a content type that is no text": '{"content-type":5}',
    "a source that is no text": '{"ce-source":5}',
    "too many of them": JSON.stringify(Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`h${index}`, "v"]))),
  }))
    it(`are unreadable when they are ${what}`, () => expect(parse(text)).toBeNull());

  it("are read the same the second time, and after many others", () => {
    const again = headerParser();
    for (let round = 0; round < 2; round += 1)
      for (let index = 0; index < 1_000; index += 1) expect(again(`{"a":"${index}"}`)).toEqual(new Map([["a", String(index)]]));
    expect(again("[]")).toBeNull();
    expect(again("[]")).toBeNull();
  });
});

describe("a row", () => {
  it("is a fence only if type and topic are both empty", () => {
    expect(isFence(row({ type: "", topic: "" }))).toBe(true);
    expect(isFence(row({ type: "" }))).toBe(false);
    expect(isFence(row({ topic: "" }))).toBe(false);
  });

  it("is unreadable for one reason, the first that is found", () => {
    expect(unreadableReason(row(), new Map())).toBeNull();
    expect(unreadableReason(row({ type: "" }), null)).toBe("emptyType");
    expect(unreadableReason(row({ topic: "" }), new Map())).toBe("emptyTopic");
    expect(unreadableReason(row(), null)).toBe("malformedHeaders");
  });

  it("becomes a message with its id as sequence", () => {
    const headers = new Map([["a", "b"]]);
    expect(outgoingMessage(row({ payload: Buffer.from('{"a":"ü"}') }), headers)).toEqual({
      id: "m7",
      type: "shop.order.placed.v1",
      topic: "orders",
      key: "k",
      headers,
      payload: Buffer.from('{"a":"ü"}', "utf8"),
      sequence: 7n,
      createdAtMs: 1_700_000_000_000,
    });
  });

  it("keeps bytes as they are, an empty payload empty, and a tombstone null", () => {
    const bytes = Uint8Array.from([0, 255, 128]);
    expect(outgoingMessage(row({ payload: bytes }), new Map()).payload).toBe(bytes);
    expect(outgoingMessage(row({ payload: Buffer.alloc(0) }), new Map()).payload).toHaveLength(0);
    expect(outgoingMessage(row({ payload: null }), new Map()).payload).toBeNull();
  });
});

it("a released dead letter goes out with its first id and place", () => {
  const letter: DeadLetter = {
    sequence: 7n,
    messageId: "m7",
    type: "shop.order.placed.v1",
    topic: "orders",
    key: null,
    headers: null,
    payload: "{}",
    createdAtMs: null,
    reason: "tooLarge",
    attempts: 3,
    mayBeStored: false,
    origin: "relay",
    reader: "default/default",
    state: "released",
    givenUpAtMs: 5,
  };
  expect(outgoingDeadLetter(letter, new Map())).toMatchObject({ id: "m7", sequence: 7n, key: null, createdAtMs: 0 });
});
