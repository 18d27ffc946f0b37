import { connect } from "node:net";
import { newMessageId } from "@waybill/core";
import { forEachDatabase } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HalfMessageFixture, halfMessageFixture, message, type Replica } from "./half-message-fixture.ts";

const base = "/v1/producers/payments/half-messages";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    let replica: Replica;
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
      replica = await fixture.replica({
        maxMessages: 3,
        maxPayloadBytes: 2_000,
        maxBodyBytes: 20_000,
        tombstoneMs: 3_600_000,
        retentionMs: 1_000,
      });
    });
    afterAll(() => fixture.close());

    const whole = { barrier: null, messages: [message()] };
    test.each<[string, number, string, unknown]>([
      ["no object", 400, "malformed_request", []],
      ["an unknown field", 400, "malformed_request", { ...whole, chek: {} }],
      ["no message", 400, "malformed_request", { messages: [] }],
      ["no messages at all", 400, "malformed_request", { barrier: null }],
      ["a message without a topic", 400, "malformed_request", { messages: [{ type: "a", payload: "" }] }],
      ["two messages without ids", 400, "malformed_request", { messages: [message(), message()] }],
      ["two messages of one id", 400, "malformed_request", { messages: [message({ id: "a" }), message({ id: "a" })] }],
      ["a payload in both forms", 400, "malformed_request", { messages: [message({ payloadBase64: "AA==" })] }],
      ["a payload that is no base64", 400, "malformed_request", { messages: [message({ payload: undefined, payloadBase64: "A" })] }],
      ["a reserved header", 400, "malformed_request", { messages: [message({ headers: { "waybill-x": "y" } })] }],
      ["a header with a control character", 400, "malformed_request", { messages: [message({ headers: { x: "a\nb" } })] }],
      ["a topic with a blank", 400, "malformed_request", { messages: [message({ topic: "a b" })] }],
      ["a barrier that is no UUID", 400, "malformed_request", { ...whole, barrier: "here" }],
      ["a first check that is too early", 400, "malformed_request", { ...whole, check: { afterMs: 1 } }],
      ["a delay below nothing", 400, "malformed_request", { messages: [message({ delayMs: -1 })] }],
      ["a receiver that is no name", 400, "malformed_request", { messages: [message({ receivers: ["A b"] })] }],
      ["too many messages", 422, "limit_exceeded", { messages: [1, 2, 3, 4].map((n) => message({ id: `m${n}` })) }],
      ["a payload that is too large", 422, "limit_exceeded", { messages: [message({ payload: "x".repeat(2_001) })] }],
      ["a topic that is routed nowhere", 422, "topic_not_routed", { messages: [message({ topic: "elsewhere" })] }],
      ["a receiver that nobody registered", 422, "receiver_not_registered", { messages: [message({ receivers: ["nobody"] })] }],
      ["an order by prepare without a key", 422, "order_needs_one_key", { order: "prepare", messages: [message({ key: null })] }],
    ])("a prepare with %s is refused and stores nothing", async (_, status, code, body) => {
      const answer = await replica.call("PUT", `${base}/bad`, body);
      expect(answer).toMatchObject({ status, body: { type: `urn:waybill:problem:${code}`, code, status } });
      expect(answer.headers["content-type"]).toBe("application/problem+json");
      expect(await fixture.count("half_message")).toBe(0);
    });

    test("what is wrong is told field by field, and never with what was found there", async () => {
      const { body } = await replica.call("PUT", `${base}/bad`, {
        messages: [message({ topic: "se cret", delayMs: -1, hidden: "secret" })],
      });
      expect(body.errors).toEqual([
        { field: "messages[0].hidden", why: "is unknown" },
        { field: "messages[0].topic", why: "must be 1 to 249 of A-Z, a-z, 0-9, '.', '_' and '-'" },
        { field: "messages[0].delayMs", why: "must be a whole number from 0 to 2592000000" },
      ]);
      expect(JSON.stringify(body)).not.toMatch(/secret|se cret/);
    });

    test.each<[string, number, string, string, string, unknown]>([
      ["an unknown path", 404, "unknown_route", "GET", "/v2/things", undefined],
      ["a method that the route does not know", 405, "method_not_allowed", "DELETE", `${base}/a`, undefined],
      ["an id with a dot", 400, "malformed_request", "PUT", `${base}/a.b`, whole],
      ["a bare commit of nothing", 404, "unknown_half_message", "POST", `${base}/none/commit`, {}],
      ["an extension of nothing", 404, "unknown_half_message", "POST", `${base}/none/extend`, { forMs: 1_000 }],
      ["an extension by too little", 400, "malformed_request", "POST", `${base}/none/extend`, { forMs: 1 }],
      ["a look at nothing", 404, "unknown_half_message", "GET", `${base}/none`, undefined],
      ["a list with a limit that is none", 400, "malformed_request", "GET", `${base}?limit=0`, undefined],
      ["a list by a state that is none", 400, "malformed_request", "GET", `${base}?state=lost`, undefined],
      ["a batch without operations", 400, "malformed_request", "POST", `${base}:batch`, { operations: [] }],
    ])("%s is answered with a code", async (_, status, code, method, target, body) => {
      expect(await replica.call(method, target, body)).toMatchObject({ status, body: { code } });
    });

    test("a method that the route does not know is told which it does", async () => {
      expect((await replica.call("DELETE", `${base}/a`)).headers.allow).toBe("PUT, GET");
    });

    test("admin routes are not there on the public port", async () => {
      const target = "/admin/v1/half-messages";
      expect(await replica.call("GET", target, undefined, { key: "operator-1" })).toMatchObject({
        status: 404,
        body: { code: "unknown_route" },
      });
      expect(await replica.call("GET", target, undefined, { key: "operator-1", at: "admin" })).toMatchObject({ status: 200 });
    });

    test("a body of another type, no JSON, no UTF-8 or too large is refused", async () => {
      const typed = { headers: { "content-type": "text/plain" } };
      expect(await replica.call("PUT", `${base}/a`, whole, typed)).toMatchObject({ status: 415, body: { code: "unsupported_media_type" } });
      expect(await replica.call("PUT", `${base}/a`, "{")).toMatchObject({ status: 400, body: { code: "malformed_request" } });
      expect(await replica.call("PUT", `${base}/a`, `"${"x".repeat(30_000)}"`)).toMatchObject({
        status: 413,
        body: { code: "body_too_large" },
      });
    });

    test("headers beyond 16 KiB are refused with 431", async () => {
      const answer = await raw(replica.ports.public, `GET /v1 HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(20_000)}\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 431 [\s\S]*"code":"header_too_large"/);
    });

    test("an id that says that its tombstone may be gone creates nothing", async () => {
      const old = `01900000-0000-7${newMessageId().slice(15)}`;
      expect(await replica.prepare(old)).toMatchObject({ status: 410, body: { code: "id_expired" } });
      expect(await replica.rollback(old)).toMatchObject({ status: 410, body: { code: "id_expired" } });
      expect(await replica.commit(old, { halfMessage: whole })).toMatchObject({ status: 410, body: { code: "id_expired" } });
      expect(await replica.commit(old)).toMatchObject({ status: 404, body: { code: "unknown_half_message" } });
      expect(await fixture.count("half_message")).toBe(0);
    });
  }),
);

function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(chunks).toString("utf8")));
  });
}
