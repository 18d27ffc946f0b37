import { type OutgoingMessage, secret, sign, signingSecret, sourceHeader, verifySignature } from "@waybill/core";
import { type CloudEvent, HTTP } from "cloudevents";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { fromRequest, toRequest } from "./binary-mode.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf8"));

const placed: OutgoingMessage = {
  id: "0198c0de-0000-7000-8000-000000000001",
  type: "shop.order.placed.v1",
  topic: "orders",
  key: "order 7",
  headers: new Map([
    ["tenant", "Müller & Söhne, 100 %"],
    ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    ["tracestate", "vendor=a b,other=1"],
    ["baggage", "user=alice%20b,flag=1"],
    [sourceHeader, "/order-service"],
    ["content-type", "application/json; charset=utf-8"],
  ]),
  payload: bytes('{"orderId": "7"}'),
  sequence: 9_007_199_254_740_993n,
  createdAtMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
};

function sent(message: OutgoingMessage): { headers: Record<string, string>; body: Uint8Array } {
  const request = toRequest(message);
  if ("problem" in request) throw new Error(request.problem);
  return request;
}

function received(message: OutgoingMessage): unknown {
  const { headers, body } = sent(message);
  return fromRequest(headers, body);
}

describe("binary mode", () => {
  test("a message arrives as it was sent: every field, every header, every byte", () => {
    expect(received(placed)).toEqual({ message: placed });
  });

  test("what is said about its delivery travels beside it", () => {
    const delivery = [
      ["waybill-delivery-id", "42-00c0ffee00c0ffee"],
      ["waybill-attempt", "3"],
    ] as const;
    const message = { ...placed, headers: new Map([...placed.headers, ...delivery]) };
    expect(received(message)).toEqual({ message });
  });

  test("attributes and headers are percent-encoded; content type and trace are as stored", () => {
    expect(sent(placed).headers).toEqual({
      "ce-specversion": "1.0",
      "ce-id": placed.id,
      "ce-source": "/order-service",
      "ce-type": "shop.order.placed.v1",
      "ce-time": "2026-01-02T03:04:05.678Z",
      "ce-topic": "orders",
      "ce-sequence": "9007199254740993",
      "ce-partitionkey": "order%207",
      tenant: "M%C3%BCller%20&%20S%C3%B6hne,%20100%20%25",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      tracestate: "vendor=a b,other=1",
      baggage: "user=alice%20b,flag=1",
      "content-type": "application/json; charset=utf-8",
      "content-length": "16",
    });
  });

  test("any message arrives as it was sent", () => {
    const text = fc.string({ unit: "binary" }).filter((value) => !/[\p{Cc}\p{Cs}]/u.test(value) && Buffer.byteLength(value) < 60);
    const name = fc.stringMatching(/^x[a-z0-9-]{0,20}$/);
    const message = fc.record({
      type: text.filter((value) => value !== ""),
      key: fc.option(text.filter((value) => value !== "")),
      headers: fc.dictionary(name, text, { maxKeys: 8 }).map((headers) => new Map([...Object.entries(headers), [sourceHeader, "/s"]])),
      payload: fc.option(fc.uint8Array({ maxLength: 200 })),
      sequence: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
    });
    fc.assert(
      fc.property(message, (some) => {
        const one = { ...placed, ...some };
        expect(received(one)).toEqual({ message: one });
      }),
    );
  });

  test("a tombstone and an empty payload stay apart", () => {
    const tombstone = { ...placed, payload: null };
    const empty = { ...placed, payload: new Uint8Array(0) };
    expect(received(tombstone)).toEqual({ message: tombstone });
    expect(received(empty)).toEqual({ message: empty });
  });

  test("bytes that are no text arrive unchanged", () => {
    const binary = { ...placed, payload: Uint8Array.from({ length: 256 }, (_, index) => index) };
    expect(received(binary)).toEqual({ message: binary });
  });

  test.each([
    ["host", "elsewhere.example"],
    ["transfer-encoding", "chunked"],
    ["content-length", "3"],
    ["ce-type", "shop.order.cancelled.v1"],
    ["webhook-signature", "v1,x"],
    ["waybill-payload", "empty"],
    ["x bad", "name"],
    ["tenant", "line\r\nbreak"],
    ["tenant", "\ud800"],
  ])("a row whose header %s would address, frame or forge the request cannot be sent", (name, value) => {
    expect(toRequest({ ...placed, headers: new Map([[name, value]]) })).toMatchObject({ problem: "headersInvalid" });
  });

  test("whatever else keeps a request from being made of a message is that message's problem, not an error", () => {
    expect(toRequest({ ...placed, createdAtMs: Number.NaN })).toMatchObject({ problem: "requestInvalid", cause: expect.any(RangeError) });
  });

  test("a content type that is none of HTTP's is encoded, not cut and not obeyed", () => {
    expect(sent({ ...placed, headers: new Map([["content-type", "text/plain\r\nhost: x\u00e9 "]]) }).headers["content-type"]).toBe(
      "text/plain%0D%0Ahost: x%C3%A9%20",
    );
  });

  test("headers of the connection are no part of the message, others of a foreign sender are", () => {
    const { headers, body } = sent(placed);
    const foreign = {
      ...headers,
      host: "me",
      connection: "keep-alive",
      authorization: "Bearer x",
      cookie: "c",
      "x-raw": "100%",
      "x-latin": "%FF",
      accept: "*/*",
    };
    const result = fromRequest(foreign, body);
    if ("problem" in result) throw new Error(result.problem);
    expect(Object.fromEntries(result.message.headers)).toEqual({
      ...Object.fromEntries(placed.headers),
      "x-raw": "100%",
      "x-latin": "%FF",
      accept: "*/*",
    });
  });

  test.each([
    ["ce-specversion", undefined, "specversion"],
    ["ce-specversion", "0.3", "specversion"],
    ["ce-id", undefined, "id"],
    ["ce-id", "", "id"],
    ["ce-id", "a%0Ab", "id"],
    ["ce-id", "x".repeat(256), "id"],
    ["ce-type", undefined, "type"],
    ["ce-type", "a%00b", "type"],
    ["ce-type", "x".repeat(256), "type"],
    ["ce-source", undefined, "source"],
    ["ce-source", "%C3%A4", "source"],
    ["ce-time", "yesterday", "time"],
    ["ce-topic", "a%2Fb", "topic"],
    ["ce-partitionkey", "%0D", "partitionkey"],
    ["ce-type", "%FF%FE", "encoding"],
  ])("a request whose %s is %j is refused for its %s", (name, value, problem) => {
    const { headers, body } = sent(placed);
    expect(fromRequest({ ...headers, [name]: value }, body)).toEqual({ problem });
  });

  test("a foreign event without our extensions is a message without topic, key and sequence", () => {
    const result = fromRequest(
      { "ce-specversion": "1.0", "ce-id": "A234", "ce-type": "com.example.t", "ce-source": "//x", "ce-subject": "s%C3%A4" },
      bytes("x"),
    );
    expect(result).toEqual({
      message: {
        id: "A234",
        type: "com.example.t",
        topic: null,
        key: null,
        headers: new Map([
          ["ce-subject", "sä"],
          [sourceHeader, "//x"],
        ]),
        payload: bytes("x"),
        sequence: null,
        createdAtMs: null,
      },
    });
  });
});

describe("other implementations", () => {
  test("the CloudEvents SDK reads what we send", () => {
    const { headers, body } = sent({ ...placed, key: "order-7" });
    const event = HTTP.toEvent({ headers, body: Buffer.from(body).toString("utf8") }) as CloudEvent<unknown>;
    expect(event.validate()).toBe(true);
    expect(event.toJSON()).toMatchObject({
      id: placed.id,
      type: placed.type,
      source: "/order-service",
      specversion: "1.0",
      time: "2026-01-02T03:04:05.678Z",
      datacontenttype: "application/json; charset=utf-8",
      partitionkey: "order-7",
      topic: "orders",
      data: { orderId: "7" },
    });
  });

  test("we read what the CloudEvents SDK sends", async () => {
    const { CloudEvent } = await import("cloudevents");
    const event = new CloudEvent({
      id: "A1",
      source: "/sdk",
      type: "com.example.t",
      time: "2026-01-02T03:04:05.678Z",
      datacontenttype: "application/json",
      partitionkey: "k",
      data: { a: 1 },
    });
    const { headers, body } = HTTP.binary(event);
    const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]));
    expect(fromRequest(lower, bytes(String(body)))).toMatchObject({
      message: { id: "A1", type: "com.example.t", key: "k", createdAtMs: placed.createdAtMs, payload: bytes('{"a":1}') },
    });
  });

  const text = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

  test("the Standard Webhooks library verifies what we sign, with either secret during a rotation", () => {
    const other = `whsec_${Buffer.alloc(24, 9).toString("base64")}`;
    const body = '{"orderId": "7", "name": "ü"}';
    const headers = { ...sign([signingSecret(other), signingSecret(text)], { id: placed.id, timestampMs: Date.now(), body: bytes(body) }) };
    expect(new Webhook(text).verify(body, headers)).toEqual({ orderId: "7", name: "ü" });
    expect(new Webhook(other).verify(body, headers)).toEqual({ orderId: "7", name: "ü" });
    expect(() => new Webhook(`whsec_${Buffer.alloc(24, 1).toString("base64")}`).verify(body, headers)).toThrow();
  });

  test("we verify what the Standard Webhooks library signs", () => {
    const at = new Date();
    const signature = new Webhook(text).sign("msg_1", at, "body");
    const headers = { "webhook-id": "msg_1", "webhook-timestamp": String(Math.floor(at.getTime() / 1000)), "webhook-signature": signature };
    expect(() => verifySignature([signingSecret(text)], headers, bytes("body"), at.getTime())).not.toThrow();
    expect(() => verifySignature([secret(Buffer.alloc(24, 1).toString("base64"))], headers, bytes("body"), at.getTime())).toThrow(/forged/);
  });
});
