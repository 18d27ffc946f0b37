import { connect, type Socket } from "node:net";
import { newMessageId } from "@waybill/core";
import { openDatabase } from "@waybill/sql";
import { startFaultProxy, testServers, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type HalfMessageFixture, halfMessageFixture, message, type Replica } from "./half-message-fixture.ts";
import { startServiceChild } from "./service-child.ts";

const everything = process.env.WAYBILL_TEST_ALL === "1";
const slowSockets = 1_000;
/** Each of eight clients prepares and commits so many in a round. */
const pairsOfClient = everything ? 200 : 25;
const awayMs = 250;

let fixture: HalfMessageFixture;
beforeAll(async () => {
  const [server] = testServers();
  if (server === undefined) throw new Error("There is no PostgreSQL to test on.");
  fixture = await halfMessageFixture({ ...server, dialect: "postgres" });
});
afterAll(() => fixture.close());

test("H7 a producer whose quota is full is told to come again, and no other producer is", async () => {
  const producers = { payments: { undecidedQuota: 3, check: { via: "pull" } }, orders: { check: { via: "pull" } } } as const;
  const replica = await fixture.replica({ producers });
  const ids = [newMessageId(), newMessageId(), newMessageId()] as const;
  for (const id of ids) expect(await replica.prepare(id)).toMatchObject({ status: 201 });
  const refused = await replica.prepare(newMessageId());
  expect(refused).toMatchObject({ status: 429, body: { code: "undecided_quota" } });
  expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
  expect(replica.alerts).toContainEqual(expect.objectContaining({ kind: "undecided_quota", subject: "payments" }));
  expect(await replica.prepare(newMessageId(), {}, "orders")).toMatchObject({ status: 201 });
  // What is stored already is answered as it stands, and a decision makes room.
  expect(await replica.prepare(ids[0])).toMatchObject({ status: 200, body: { replayed: true } });
  expect(await replica.commit(newMessageId(), { halfMessage: { messages: [message()] } })).toMatchObject({ status: 201 });
  await replica.commit(ids[0]);
  expect(await replica.prepare(newMessageId())).toMatchObject({ status: 201 });
  await replica.stop();
});

test("a service that stops refuses prepares, finishes what decides, and answers everybody", async () => {
  const replica = await fixture.replica();
  const ids = Array.from({ length: 30 }, newMessageId);
  await Promise.all(ids.map((id) => replica.prepare(id)));
  const commits = ids.map((id) => replica.commit(id));
  await waitUntil(() => replica.events.some((event) => event.name === "halfMessage.deciding"), { what: "the first decision" });
  await replica.stop();
  const ended = await Promise.allSettled(commits);
  const answered = ended.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  expect(answered.length).toBeGreaterThan(0);
  expect(answered.every(({ status }) => status === 200)).toBe(true);
  for (const { body } of answered) expect(await fixture.count("half_message", `id = '${String(body.id)}' and state = 'committed'`)).toBe(1);
});

test("without its database the service answers 503 to every call, and goes on when it is back", async () => {
  const url = new URL(fixture.url);
  const proxy = await startFaultProxy({ target: { host: url.hostname, port: Number(url.port) } });
  const database = openDatabase({ url: proxy.url(fixture.url), connections: 10, statementDeadlineMs: 2_000, connectDeadlineMs: 1_000 });
  const replica: Replica = await fixture.replica({ database });
  const id = newMessageId();
  expect(await replica.prepare(id)).toMatchObject({ status: 201 });
  proxy.inject({ kind: "refuse" });
  proxy.cutAll();
  for (const answer of [await replica.prepare(newMessageId()), await replica.commit(id), await replica.show(id)]) {
    expect(answer).toMatchObject({ status: 503, body: { code: "storage_unavailable" } });
    expect(answer.headers["retry-after"]).toBe("1");
  }
  expect((await replica.call("GET", "/readyz", undefined, { key: null, at: "admin" })).status).toBe(503);
  expect((await replica.call("GET", "/livez", undefined, { key: null, at: "admin" })).status).toBe(200);
  proxy.heal();
  expect(await replica.commit(id)).toMatchObject({ status: 200, body: { changed: true } });
  expect((await replica.call("GET", "/readyz", undefined, { key: null, at: "admin" })).status).toBe(200);
  await replica.stop();
  await database.close();
  await proxy.stop();
});

test("sockets that send nothing, or a byte now and then, are ended, and whoever calls beside a thousand of them waits no longer than twice as long", {
  timeout: 120_000,
}, async () => {
  const service = await startServiceChild({ url: fixture.url });
  const port = Number(service.child.events.find((event) => event["at"] === "public")?.["port"]);
  const sockets = new Set<Socket>();
  let isUnderAttack = false;
  let ended = 0;
  let refused = 0;
  const attack = (): void => {
    let isConnected = false;
    const socket = connect(port, "127.0.0.1", () => {
      isConnected = true;
      socket.write("PUT /v1/producers/payments/half-messages/a HTTP/1.1\r\nx: ");
    });
    sockets.add(socket);
    socket.on("close", () => {
      sockets.delete(socket);
      ended += 1;
      if (isUnderAttack) attack();
    });
    // A byte that meets the end of its socket is an error, too.
    socket.on("error", () => {
      if (!isConnected) refused += 1;
    });
    socket.resume();
  };
  const allAreThere = (): Promise<unknown> =>
    waitUntil(() => [...sockets].filter((socket) => !socket.connecting).length >= slowSockets, { what: "the attackers are there" });
  const dripping = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write("y");
  }, 1_000);
  /** The 99th percentile of what good clients wait for an answer. */
  const p99 = async (): Promise<number> => {
    const tookMs: number[] = [];
    const client = async (): Promise<void> => {
      for (let nth = 0; nth < pairsOfClient; nth += 1) {
        const id = newMessageId();
        for (const [call, status] of [
          [() => service.prepare(id), 201],
          [() => service.commit(id), 200],
        ] as const) {
          const fromMs = performance.now();
          expect(await call()).toMatchObject({ status });
          tookMs.push(performance.now() - fromMs);
        }
      }
    };
    await Promise.all(Array.from({ length: 8 }, client));
    return tookMs.sort((a, b) => a - b)[Math.ceil(tookMs.length * 0.99) - 1] ?? Number.POSITIVE_INFINITY;
  };
  try {
    await p99();
    const calm = [await p99(), await p99()];
    isUnderAttack = true;
    for (let nth = 0; nth < slowSockets; nth += 1) attack();
    await allAreThere();
    const beside = [await p99(), await p99(), await p99()];
    await allAreThere();
    isUnderAttack = false;
    await waitUntil(() => sockets.size === 0, { what: "the slow sockets are ended", deadlineMs: 60_000 });
    calm.push(await p99());
    expect(ended).toBeGreaterThanOrEqual(slowSockets);
    expect(refused).toBe(0);
    const median = (all: number[]): number => all.sort((a, b) => a - b)[1] ?? Number.POSITIVE_INFINITY;
    // A machine with other work may be away for a moment, whoever is attacked.
    expect(median(beside)).toBeLessThan(2 * median(calm) + awayMs);
    expect(await service.stop()).toEqual({ code: 0, signal: null });
  } finally {
    isUnderAttack = false;
    clearInterval(dripping);
    for (const socket of sockets) socket.destroy();
    service.child.kill();
    await service.child.exited;
  }
});
