import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { sign, signingSecret, type WaybillEvent } from "@waybill/core";
import {
  type Confirmation,
  type ConfirmationReceiverOptions,
  type ConfirmationSenderOptions,
  confirmationReceiver,
  confirmationSender,
} from "@waybill/http";
import { afterEach, expect, test } from "vitest";

const secretOf = (fill: number) => signingSecret(`whsec_${Buffer.alloc(24, fill).toString("base64")}`);
const [inventorys, billings, old] = [secretOf(1), secretOf(2), secretOf(3)];
const id = "00000000-0000-7000-8000-000000000001";

const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
});

async function listen(listener: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/confirmations`;
}

/** A receiver, with what its application was told and what it reported. */
async function receiver(options: Partial<ConfirmationReceiverOptions> = {}) {
  const confirmed: Confirmation[] = [];
  const events: WaybillEvent[] = [];
  const url = await listen(
    confirmationReceiver({
      consumers: { inventory: [old, inventorys], billing: [billings] },
      confirm: (confirmation) => {
        confirmed.push(confirmation);
        return Promise.resolve(confirmed.length === 1);
      },
      onEvent: (event) => events.push(event),
      ...options,
    }),
  );
  return { url, confirmed, events };
}

function sender(url: string, options: Partial<ConfirmationSenderOptions> = {}) {
  const made = confirmationSender({ url, secrets: [inventorys], ...options });
  cleanups.push(() => made.close());
  return made;
}

const fact: Confirmation = { messageId: id, consumer: "inventory" };

test("a confirmation arrives, and its sender learns whether it was waited for", async () => {
  const { url, confirmed } = await receiver();
  const { confirm } = sender(url);
  expect([await confirm(fact), await confirm(fact)]).toEqual([
    { kind: "ok", isWaitedFor: true },
    { kind: "ok", isWaitedFor: false },
  ]);
  expect(confirmed).toEqual([fact, fact]);
});

test("a consumer confirms with any of its secrets, and for nobody else", async () => {
  const { url, confirmed, events } = await receiver();
  expect(await sender(url, { secrets: [old] }).confirm(fact)).toMatchObject({ kind: "ok" });
  const forged = { kind: "failed", reason: "status.401" };
  expect(await sender(url, { secrets: [billings] }).confirm(fact)).toEqual(forged);
  expect(await sender(url, { secrets: [secretOf(9)] }).confirm(fact)).toEqual(forged);
  expect(await sender(url).confirm({ messageId: id, consumer: "nobody" })).toEqual(forged);
  expect(await sender(url).confirm({ messageId: id, consumer: "__proto__" })).toEqual(forged);
  expect(confirmed).toHaveLength(1);
  expect(new Set(events.map((event) => JSON.stringify(event)))).toEqual(
    new Set([JSON.stringify({ name: "http.refused", status: 401, reason: "signature.forged" })]),
  );
});

test("what is no confirmation is refused before anything is noted", async () => {
  const { url, confirmed } = await receiver();
  const post = async (body: string, over: Readonly<Record<string, string>> = {}, method = "POST"): Promise<number> => {
    const signature = sign([inventorys], { id, timestampMs: Date.now(), body: Buffer.from(body) });
    const init = { method, headers: { ...signature, ...over }, ...(method === "GET" ? {} : { body }) };
    const answer = await fetch(url, init);
    await answer.arrayBuffer();
    return answer.status;
  };
  const good = JSON.stringify(fact);
  expect(await post(good, {}, "GET")).toBe(405);
  for (const body of ["", "{", "null", "7", "{}", '{"messageId":7,"consumer":"inventory"}', `{"messageId":"","consumer":"inventory"}`]) {
    expect(await post(body)).toBe(400);
  }
  expect(await post(JSON.stringify({ ...fact, messageId: "00000000-0000-7000-8000-000000000002" }))).toBe(400);
  expect(await post(JSON.stringify({ ...fact, more: "x".repeat(5_000) }))).toBe(413);
  expect(await post(good, { "webhook-signature": "" })).toBe(401);
  expect(await post(good, { "webhook-timestamp": "1" })).toBe(401);
  expect(await post(`${good} `, sign([inventorys], { id, timestampMs: Date.now(), body: Buffer.from(good) }) as never)).toBe(401);
  expect(confirmed).toEqual([]);
  expect(await post(good)).toBe(200);
});

test("what the application cannot note, or not in time, is unknown to the sender, and says nothing of why", async () => {
  const failing = await receiver({ confirm: () => Promise.reject(new Error("canary")) });
  expect(await sender(failing.url).confirm(fact)).toEqual({ kind: "unknown", reason: "status.503" });
  expect(JSON.stringify(failing.events)).not.toContain("canary");
  const hanging = await receiver({ confirm: () => new Promise(() => undefined), deadlineMs: 100 });
  expect(await sender(hanging.url).confirm(fact)).toEqual({ kind: "unknown", reason: "status.503" });
  const throwing = await receiver({
    confirm: () => {
      throw new Error("canary");
    },
  });
  expect(await sender(throwing.url).confirm(fact)).toEqual({ kind: "unknown", reason: "status.503" });
});

test("more than may be under way at once is asked to come again", async () => {
  let release: (isWaitedFor: boolean) => void = () => undefined;
  let isCalled: () => void = () => undefined;
  const called = new Promise<void>((resolve) => {
    isCalled = resolve;
  });
  const { url } = await receiver({
    requestsMax: 1,
    confirm: () => {
      isCalled();
      return new Promise((resolve) => {
        release = resolve;
      });
    },
  });
  const first = sender(url).confirm(fact);
  await called;
  expect(await sender(url).confirm(fact)).toEqual({ kind: "unknown", reason: "status.503" });
  release(true);
  expect(await first).toEqual({ kind: "ok", isWaitedFor: true });
});

test("a sender tells what surely failed from what nobody knows, within its deadline", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  expect(await sender(`http://127.0.0.1:${port}/`).confirm(fact)).toEqual({ kind: "failed", reason: "notConnected" });
  const silent = await listen(() => undefined);
  expect(await sender(silent, { deadlineMs: 3_000 }).confirm(fact)).toEqual({ kind: "unknown", reason: "deadline" });
  const dying = await listen(({ socket }) => void socket.destroy());
  expect(await sender(dying).confirm(fact)).toMatchObject({ kind: "unknown" });
  const answering = async (status: number, text: string): Promise<unknown> =>
    await sender(await listen((_, response) => void response.writeHead(status).end(text))).confirm(fact);
  expect(await answering(200, "welcome")).toEqual({ kind: "unknown", reason: "status.200" });
  expect(await answering(302, "")).toEqual({ kind: "failed", reason: "status.302" });
  expect(await answering(404, "")).toEqual({ kind: "failed", reason: "status.404" });
  expect(await answering(500, "")).toEqual({ kind: "unknown", reason: "status.500" });
  const closed = sender(silent);
  const cut = closed.confirm(fact);
  closed.close();
  expect((await cut).kind).not.toBe("ok");
  expect(await closed.confirm(fact)).toEqual({ kind: "failed", reason: "closed" });
});

test("a sender that goes away harms nobody", async () => {
  const { url, confirmed } = await receiver();
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  await new Promise<void>((resolve) =>
    socket.write("POST /confirmations HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{", () => resolve()),
  );
  socket.destroy();
  expect(await sender(url).confirm(fact)).toMatchObject({ kind: "ok" });
  expect(confirmed).toHaveLength(1);
});

test.each<readonly [string, Partial<ConfirmationReceiverOptions>]>([
  ["nobody may confirm", { consumers: {} }],
  ["a consumer without a secret", { consumers: { inventory: [] } }],
  ["a deadline of nothing", { deadlineMs: 0 }],
  ["no room", { requestsMax: 0 }],
])("%s is no configuration of a receiver", (_, options) => {
  const given = { consumers: { inventory: [inventorys] }, confirm: () => Promise.resolve(true), ...options };
  expect(() => confirmationReceiver(given)).toThrow(expect.objectContaining({ code: "WAYBILL_CONFIG_INVALID" }));
});

test.each<readonly [string, Partial<ConfirmationSenderOptions>]>([
  ["no secret", { secrets: [] }],
  ["no URL", { url: "inventory" }],
  ["credentials in the URL", { url: "http://a:b@127.0.0.1/" }],
  ["an address that is not public", { url: "https://10.0.0.1/" }],
])("%s is no configuration of a sender", (_, options) => {
  const given = { url: "http://127.0.0.1:1/", secrets: [inventorys], ...options };
  expect(() => confirmationSender(given)).toThrow(expect.objectContaining({ code: "WAYBILL_CONFIG_INVALID" }));
});
