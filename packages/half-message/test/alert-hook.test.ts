import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { newMessageId, secret } from "@waybill/core";
import { httpCaller } from "@waybill/http";
import { testServers, waitUntil } from "@waybill/testing";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { AlertHookOptions } from "../src/index.ts";
import { type HalfMessageFixture, halfMessageFixture, type Replica } from "./half-message-fixture.ts";

interface Arrived {
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

const hookSecret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

let fixture: HalfMessageFixture;
let arrived: Arrived[] = [];
let answer: (response: ServerResponse) => void = (response) => void response.end();
const receiver = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    arrived.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
    answer(response);
  });
});
let port = 0;

beforeAll(async () => {
  const [server] = testServers();
  if (server === undefined) throw new Error("There is no PostgreSQL to test on.");
  fixture = await halfMessageFixture({ ...server, dialect: "postgres" });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  ({ port } = receiver.address() as AddressInfo);
});
afterEach(() => {
  arrived = [];
  answer = (response) => void response.end();
});
afterAll(async () => {
  receiver.closeAllConnections();
  receiver.close();
  await fixture.close();
});

const started = (more: Partial<AlertHookOptions> = {}): Promise<Replica> =>
  fixture.replica({
    http: httpCaller(),
    alertHook: {
      url: `http://127.0.0.1:${port}/alerts?token=of-the-url`,
      secret: secret(hookSecret),
      backoff: { firstMs: 50, maxMs: 50 },
      allowHttp: true,
      allowNetworks: ["127.0.0.0/8"],
      allowPorts: [port],
      ...more,
    },
  });

/** A rollback of what is committed: an alert. Answers its subject. */
async function conflict(replica: Replica): Promise<string> {
  const id = newMessageId();
  await replica.prepare(id);
  await replica.commit(id);
  expect((await replica.rollback(id)).status).toBe(409);
  return `payments/${id}`;
}

const ended = (replica: Replica, name: string): readonly object[] => replica.events.filter((event) => event.name === name);

test("an alert is posted to the hook, signed after Standard Webhooks, and once", async () => {
  const replica = await started();
  const subject = await conflict(replica);
  await waitUntil(() => ended(replica, "halfMessage.alertTold").length === 1, { what: "the hook is told" });
  const [{ headers, body } = { headers: {}, body: "" }] = arrived;
  expect(headers["content-type"]).toBe("application/json");
  expect(new Webhook(hookSecret).verify(body, headers as Record<string, string>)).toMatchObject({
    version: 1,
    kind: "decision_conflict",
    subject,
    detail: "It is committed already.",
    at: expect.stringMatching(/^\d{4}-.*Z$/),
  });
  expect(body).not.toContain("order-17");
  expect(replica.alerts).toMatchObject([{ kind: "decision_conflict", subject }]);
  expect(arrived).toHaveLength(1);
  await replica.stop();
});

test("a hook that fails is called again under the same id, so often and no more; what comes after is told when it is back", async () => {
  const replica = await started({ attemptsMax: 3 });
  answer = (response) => void response.writeHead(500).end();
  const subject = await conflict(replica);
  await waitUntil(() => ended(replica, "halfMessage.alertNotTold").length === 1, { what: "it is given up" });
  expect(ended(replica, "halfMessage.alertNotTold")).toMatchObject([
    { kind: "decision_conflict", subject, attempts: 3, reason: "status 500" },
  ]);
  expect(arrived).toHaveLength(3);
  expect(new Set(arrived.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  expect(JSON.stringify(replica.events)).not.toContain("of-the-url");
  answer = (response) => void (arrived.length === 4 ? response.writeHead(503) : response).end();
  const later = await conflict(replica);
  await waitUntil(() => ended(replica, "halfMessage.alertTold").length === 1, { what: "the later one is told" });
  expect(ended(replica, "halfMessage.alertTold")).toMatchObject([{ subject: later, attempts: 2 }]);
  await replica.stop();
});

test("a hook that hangs delays no call of a producer and no stop; what was not told by then is said", async () => {
  const replica = await started({ timeoutMs: 50, attemptsMax: 100 });
  answer = () => undefined;
  const subjects = [await conflict(replica), await conflict(replica)];
  await waitUntil(() => arrived.length >= 2, { what: "it was called again" });
  await replica.stop();
  expect(ended(replica, "halfMessage.alertNotTold")).toMatchObject([
    { subject: subjects[0], reason: expect.any(String) },
    { subject: subjects[1], attempts: 0, reason: "stopping" },
  ]);
});

test("beyond what waits already an alert is not queued, and said not to be told", async () => {
  const replica = await started({ timeoutMs: 60_000, attemptsMax: 1 });
  const held: ServerResponse[] = [];
  answer = (response) => void held.push(response);
  await conflict(replica);
  await waitUntil(() => held.length === 1, { what: "the first is under way" });
  for (let count = 0; count < 100; count += 1) await conflict(replica);
  expect(ended(replica, "halfMessage.alertNotTold")).toEqual([]);
  const subject = await conflict(replica);
  expect(ended(replica, "halfMessage.alertNotTold")).toMatchObject([{ subject, attempts: 0, reason: "tooMany" }]);
  answer = (response) => void response.end();
  held[0]?.end();
  await waitUntil(() => ended(replica, "halfMessage.alertTold").length === 101, { what: "what was queued is told" });
  await replica.stop();
});

test("a hook that cannot work does not start", async () => {
  const wrong = started({ url: "no url", secret: secret("not a whsec, and yet as long as one would be"), attemptsMax: 0 });
  await expect(wrong).rejects.toMatchObject({
    code: "WAYBILL_CONFIG_INVALID",
    facts: { problems: ["url", "secret", "attemptsMax"].map((option) => ({ option: `alertHook.${option}` })) },
  });
});

test.each([
  ["allowNetworks", "127.0.0.0/8"],
  ["allowNetworks", ["10.0.0.0/33"]],
  ["allowNetworks", [10]],
  ["allowNetworks", null],
  ["allowPorts", 443],
  ["allowPorts", ["443"]],
  ["allowPorts", [0]],
] as const)("a hook whose %s is %j does not start", async (option, value) => {
  await expect(started({ [option]: value })).rejects.toMatchObject({
    code: "WAYBILL_CONFIG_INVALID",
    facts: { problems: [{ option: `alertHook.${option}` }] },
  });
});
