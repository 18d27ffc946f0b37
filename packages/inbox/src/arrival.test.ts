import type { ReceivedMessage } from "@waybill/core";
import { expect, test } from "vitest";
import { arrivalOf, arrivalOfLetter, letterOf } from "./arrival.ts";

const received = (over: Partial<ReceivedMessage> = {}): ReceivedMessage => ({
  id: "m1",
  type: "shop.order.placed.v1",
  topic: "orders",
  key: "k",
  headers: new Map([["traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]]),
  payload: Buffer.from('{"n":1}'),
  sequence: 7n,
  createdAtMs: 1_700_000_000_000,
  ...over,
});
const backFrom = (message: ReceivedMessage): ReceivedMessage => {
  const letter = letterOf(arrivalOf(message), "tooLarge", 1);
  return arrivalOfLetter({ ...letter, origin: "inbox", reader: "c", state: "released", givenUpAtMs: 0 }).message;
};

test("a message that was put aside comes back as it came, whatever its bytes", () => {
  const payloads = [
    Buffer.from('{"n":"\u{1F600}"}'),
    Buffer.from("\ufeffmarked"),
    Buffer.from([0, 1, 255]),
    Buffer.from("a\u0000b"),
    Buffer.alloc(0),
    null,
  ];
  for (const payload of payloads) {
    const back = backFrom(received({ payload }));
    expect({ ...back, payload: back.payload === null ? null : Buffer.from(back.payload) }).toEqual({ ...received({ payload }) });
  }
  expect(backFrom(received({ topic: null, key: null, sequence: null, createdAtMs: null }))).toMatchObject({
    topic: null,
    key: null,
    sequence: null,
    createdAtMs: null,
  });
});

test("a text payload is kept as text, for operators to read", () => {
  expect(letterOf(arrivalOf(received()), null, 0).payload).toBe('{"n":1}');
  expect(letterOf(arrivalOf(received({ payload: Buffer.from([0xff]) })), null, 0).payload).toBeInstanceOf(Uint8Array);
});

test("what no database stores is put right, so that nothing is refused for ever", () => {
  const { message, lane } = arrivalOf(
    received({ type: "a\u0000b", topic: "\ud800", key: "k\u0000", createdAtMs: 1e300, sequence: 2n ** 63n }),
  );
  expect(message).toMatchObject({ type: "a\ufffdb", topic: "\ufffd", key: "k\ufffd", createdAtMs: null, sequence: null });
  expect(lane).toEqual({ topic: "\ufffd", key: "k\ufffd" });
  expect(arrivalOf(received({ createdAtMs: Number.NaN, sequence: -1n })).message).toMatchObject({ createdAtMs: null, sequence: null });
});

test("a message without a usable id gets one of its content, the same each time", () => {
  for (const id of ["", "x".repeat(256), "a\nb", undefined as unknown as string]) {
    const arrival = arrivalOf(received({ id }));
    expect(arrival.hasUsableId).toBe(false);
    expect(arrival.id).toMatch(/^unusable-id:[0-9a-f]{32}$/);
    expect(arrivalOf(received({ id })).id).toBe(arrival.id);
    expect(arrivalOf(received({ id, payload: null })).id).not.toBe(arrival.id);
  }
});

test("type, payload and tombstone make different fingerprints", () => {
  const prints = [
    received(),
    received({ type: "other" }),
    received({ payload: Buffer.from("{}") }),
    received({ payload: Buffer.alloc(0) }),
    received({ payload: null }),
  ];
  expect(new Set(prints.map((message) => arrivalOf(message).fingerprint)).size).toBe(5);
  expect(arrivalOf(received({ id: "m2", sequence: 9n, headers: new Map() })).fingerprint).toBe(arrivalOf(received()).fingerprint);
});

test("other content under a known id has a place of its own beside the first, and the same one each time", () => {
  const arrival = arrivalOf(received());
  const place = letterOf(arrival, "sameIdOtherContent", 0).sequence;
  expect(place).toBeLessThan(0n);
  expect(letterOf(arrival, "sameIdOtherContent", 0).sequence).toBe(place);
  expect(letterOf(arrivalOf(received({ payload: null })), "sameIdOtherContent", 0).sequence).not.toBe(place);
  expect(letterOf(arrival, "poison", 3)).toMatchObject({ sequence: 0n, reason: "poison", attempts: 3 });
});
