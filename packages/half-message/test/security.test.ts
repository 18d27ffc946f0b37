import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, newMessageId, secret, systemClock } from "@waybill/core";
import { selfSigned, testServers } from "@waybill/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Route, Scope } from "../src/api/route.ts";
import { type CheckOptions, createHalfMessageService, createServiceClient, type HalfMessageServiceOptions } from "../src/index.ts";
import { allRoutes } from "./all-routes.ts";
import { type HalfMessageFixture, halfMessageFixture, keys, message, noHttp, type Replica, secrets } from "./half-message-fixture.ts";

const allScopes: readonly Scope[] = ["prepare", "decide", "check", "read", "ack", "receive", "operate", "register", "reveal", "metrics"];
/** A key for each scope, and one for all of them, of another producer. */
const scopedKeys: HalfMessageServiceOptions["keys"] = allScopes.map((scope) => {
  return { id: `only-${scope}`, secret: secret(secrets["payments-1"]), producer: "payments", scopes: [scope] };
});
const everything = { id: "everything", secret: secret(secrets["payments-1"]), producer: "orders", scopes: allScopes };

let fixture: HalfMessageFixture;
let replica: Replica;
beforeAll(async () => {
  const [server] = testServers();
  if (server === undefined) throw new Error("There is no PostgreSQL to test on.");
  fixture = await halfMessageFixture({ ...server, dialect: "postgres" });
  replica = await fixture.replica({ keys: [...keys, ...scopedKeys, everything] });
  for (const scope of allScopes) Object.assign(secrets, { [`only-${scope}`]: secrets["payments-1"], everything: secrets["payments-1"] });
});
afterAll(() => fixture.close());

const targetOf = ({ path }: Route): string =>
  path
    .replace("{producer}", "payments")
    .replace("{id}", "a")
    .replace("{consumer}", "billing")
    .replace("{delivery}", "1-0000000000000001")
    .replace("{receiver}", "merchant")
    .replace("{notification}", "1-0000000000000001")
    .replace("{ordinal}", "0");
const bodyOf = ({ method }: Route): unknown => (method === "GET" ? undefined : {});
const guarded = allRoutes.filter(({ isOpen }) => isOpen !== true);

test.each(guarded.map((route) => [`${route.method} ${route.path}`, route] as const))(
  "H44 %s refuses every other scope, another's name, no key and a forged signature, and writes nothing",
  async (_, route) => {
    const target = targetOf(route);
    const call = (key: string | null, more = {}) => replica.call(route.method, target, bodyOf(route), { key, at: route.port, ...more });
    for (const scope of route.scope === null ? [] : allScopes.filter((each) => each !== route.scope)) {
      expect(await call(`only-${scope}`), scope).toMatchObject({ status: 403, body: { code: "forbidden" } });
    }
    if (route.of !== null) {
      expect(await call("everything")).toMatchObject({ status: 403, body: { code: "forbidden" } });
      expect(await call("operator-1")).toMatchObject({ status: 403, body: { code: "forbidden" } });
    }
    expect(await call(null)).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
    expect(await call("nobody-1")).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
    const own = route.of === "consumer" ? "billing-1" : route.of === "receiver" ? "merchant-1" : `only-${route.scope ?? "prepare"}`;
    for (const sent of [{ target: `${target}?x=1` }, { body: '{"x":1}' }]) {
      expect(await call(own, { sent })).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
    }
    expect(await fixture.count("half_message")).toBe(0);
    expect(await fixture.count("decision_log")).toBe(0);
  },
);

test("a signature over another method is refused", async () => {
  const answer = await replica.call("PUT", "/v1/producers/payments/half-messages/a", undefined, { sent: { method: "GET" } });
  expect(answer).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
});

test("a producer that is not there is refused as one that is another's", async () => {
  expect(await replica.call("GET", "/v1/producers/nobody/half-messages")).toMatchObject({ status: 403, body: { code: "forbidden" } });
});

test("a signature whose time is too far away is refused, whatever it signs", async () => {
  for (const createdMs of [Date.now() - 3_600_000, Date.now() + 3_600_000]) {
    const answer = await replica.call("GET", "/v1/producers/payments/half-messages", undefined, { createdMs });
    expect(answer).toMatchObject({ status: 401, body: { code: "signature_expired" } });
  }
});

test("a request that this replica has seen is refused, and one that another has seen changes nothing twice", async () => {
  const id = newMessageId();
  await replica.prepare(id);
  const target = `/v1/producers/payments/half-messages/${id}/extend`;
  const nonce = "the-nonce-that-is-used-twice";
  expect(await replica.call("POST", target, { forMs: 1_000 }, { nonce })).toMatchObject({ status: 200 });
  expect(await replica.call("POST", target, { forMs: 1_000 }, { nonce })).toMatchObject({
    status: 401,
    body: { code: "request_replayed" },
  });
  const other = await fixture.replica();
  expect(await other.call("POST", target, { forMs: 1_000 }, { nonce })).toMatchObject({ status: 401, body: { code: "request_replayed" } });
  await other.stop();
});

test("H26 the admin port knows no producer's key, and there is none if it is to be closed", async () => {
  const target = "/admin/v1/half-messages";
  expect(await replica.call("GET", target, undefined, { key: null, at: "admin" })).toMatchObject({ status: 401 });
  expect(await replica.call("GET", target, undefined, { key: "payments-1", at: "admin" })).toMatchObject({ status: 403 });
  const closed = await fixture.replica({ admin: null });
  expect(closed.events.filter((event) => event.name === "halfMessage.listening")).toHaveLength(1);
  await closed.stop();
});

test("H33 a replica whose wall clock is an hour off stores, decides and checks by the database's time, and refuses signatures as expired", async () => {
  for (const offMs of [-3_600_000, 3_600_000]) {
    const clock: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() + offMs };
    const off = await fixture.replica({ clock });
    const id = newMessageId();
    expect(await off.prepare(id)).toMatchObject({ status: 401, body: { code: "signature_expired" } });
    const target = `/v1/producers/payments/half-messages/${id}`;
    const body = { barrier: null, messages: [message()], check: { afterMs: 60_000, suspendAfterMs: 120_000 } };
    const prepared = await off.call("PUT", target, body, { createdMs: clock.wallMs() });
    expect(prepared.status).toBe(201);
    const { preparedAt, nextCheckAt, suspendAt } = prepared.body as Record<string, string>;
    expect(Math.abs(Date.parse(String(preparedAt)) - Date.now())).toBeLessThan(60_000);
    expect(Math.round((Date.parse(String(nextCheckAt)) - Date.parse(String(preparedAt))) / 1_000)).toBe(60);
    expect(Math.round((Date.parse(String(suspendAt)) - Date.parse(String(preparedAt))) / 1_000)).toBe(120);
    await off.stop();
  }
});

test("over mutual TLS the certificate's name is the key: no signature is needed, its scopes and its producer hold, and a stranger's certificate is nobody's", async () => {
  const [server, own, stranger] = [selfSigned(), selfSigned("payments-1"), selfSigned("payments-1")];
  const secured = await fixture.replica({ tls: { cert: server.cert, key: server.key, ca: own.cert } });
  const call = (target: string, certificate: { readonly cert: string; readonly key: string } | null): Promise<number> =>
    new Promise((resolve, reject) => {
      const { public: port } = secured.ports;
      const request = httpsRequest({ host: "127.0.0.1", port, method: "GET", path: target, ca: server.cert, agent: false, ...certificate });
      request.on("response", (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      request.on("error", reject);
      request.end();
    });
  const target = "/v1/producers/payments/half-messages";
  expect(await call(target, own)).toBe(200);
  expect(await call("/v1/producers/orders/half-messages", own)).toBe(403);
  expect(await call("/v1/receivers/merchant/notifications", own)).toBe(403);
  expect(await call(target, stranger)).toBe(401);
  expect(await call(target, null)).toBe(401);
  // Whoever has no certificate signs, as without TLS; the client does so with one, too.
  for (const identity of [{}, own]) {
    const client = createServiceClient({
      service: {
        url: `https://localhost:${secured.ports.public}`,
        key: { id: "payments-1", secret: secrets["payments-1"] },
        tls: { ca: server.cert, ...identity },
      },
      clock: systemClock,
    });
    const id = newMessageId();
    const body = JSON.stringify({ barrier: null, messages: [message()] });
    expect(await client.call({ method: "PUT", target: `${target}/${id}`, body }, 10_000)).toMatchObject({ status: 201 });
    client.close();
  }
  await secured.stop();
});

test("a secret in a file is read again when it changes, and two are accepted while one is being replaced", async () => {
  const folder = mkdtempSync(join(tmpdir(), "waybill-key-"));
  const file = join(folder, "key");
  writeFileSync(file, `${secrets["orders-1"]}\n`);
  const replaced = [
    { id: "payments-1", secret: [{ file }, secret(secrets["billing-1"])], producer: "payments", scopes: allScopes },
  ] as const;
  let aheadMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
  const own = await fixture.replica({ keys: replaced, clock });
  const ask = () => own.call("GET", "/v1/producers/payments/half-messages");
  expect(await ask()).toMatchObject({ status: 401 });
  writeFileSync(file, `${secrets["payments-1"]} `);
  aheadMs += 2_000;
  expect(await ask()).toMatchObject({ status: 200 });
  await own.stop();
  rmSync(folder, { recursive: true });
});

test("nothing secret and nothing of a message is in what is answered, told or counted", async () => {
  const id = newMessageId();
  const canary = "canary-7f3a";
  const body = { messages: [message({ payload: canary, headers: { "x-canary": canary }, key: canary, businessKey: canary })] };
  const answers = [
    await replica.prepare(id, body),
    await replica.prepare(id, { messages: [message({ payload: `${canary}2` })] }),
    await replica.prepare(id, { messages: [message({ key: `${canary}\u0000` })] }),
    await replica.commit(id),
    await replica.rollback(id),
    await replica.show(id),
    await replica.call("GET", "/metrics", undefined, { key: "only-metrics", at: "admin" }),
  ];
  const told = JSON.stringify([answers, replica.events, replica.alerts]);
  expect(told).not.toContain(canary);
  for (const value of Object.values(secrets)) expect(told).not.toContain(value);
});

const refused: readonly (readonly [string, Partial<HalfMessageServiceOptions>, string])[] = [
  ["without a key", { keys: [] }, "keys"],
  ["with a secret that is too short", { keys: [{ id: "a", secret: secret("short"), scopes: ["metrics"] }] }, "keys[0].secret"],
  ["with a secret in a file that is not there", { keys: [{ id: "a", secret: { file: "/nowhere/at/all" }, scopes: [] }] }, "keys[0].secret"],
  ["on every address in plain HTTP", { listen: "0.0.0.0:0" }, "listen"],
  ["on every address without keys", { keys: [], insecureDev: true, listen: "0.0.0.0:0" }, "listen"],
  ["with a key of a producer that is not there", { producers: {} }, "keys[0].producer"],
  ["with a route to nowhere", { routes: { a: ["nowhere"] } }, "routes.a"],
  ["with a tombstone that goes before the bodies", { tombstoneMs: 50 }, "tombstoneMs"],
  ...["10.20.0.0/33", "10.20/16", "example.com", "fd00::/129", "10.0.0.0/08", ""].flatMap(
    (network): [string, Partial<HalfMessageServiceOptions>, string][] => [
      [`with receivers in "${network}"`, { receiverAllowNetworks: ["10.0.0.0/8", network] }, "receiverAllowNetworks"],
      [`with a producer in "${network}"`, checkedIn({ allowNetworks: [network] }), "producers.payments.check.allowNetworks"],
    ],
  ),
  ["with receivers in a network that is no list", { receiverAllowNetworks: "10.0.0.0/8" as never }, "receiverAllowNetworks"],
  ["with receivers at port 0", { receivers: { allowPorts: [443, 0] } }, "receivers.allowPorts"],
  ["with a producer at port 65536", checkedIn({ allowPorts: [65_536] }), "producers.payments.check.allowPorts"],
];
function checkedIn(check: CheckOptions): Partial<HalfMessageServiceOptions> {
  return { producers: { payments: { check }, orders: {} } };
}
test.each(refused)("a service %s does not start", async (_, options, option) => {
  const made = createHalfMessageService({
    database: fixture.database,
    http: noHttp,
    listen: "127.0.0.1:0",
    admin: null,
    keys,
    producers: { payments: {}, orders: {} },
    destinations: {},
    routes: {},
    durability: "relaxed",
    ...options,
  });
  await expect(made).rejects.toMatchObject({
    code: "WAYBILL_CONFIG_INVALID",
    facts: { problems: expect.arrayContaining([expect.objectContaining({ option })]) },
  });
});
