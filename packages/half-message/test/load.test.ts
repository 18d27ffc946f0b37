import { connect, type Socket } from "node:net";
import { newMessageId } from "@waybill/core";
import { openDatabase } from "@waybill/sql";
import { startFaultProxy, testServers, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type HalfMessageFixture, halfMessageFixture, message, type Replica } from "./half-message-fixture.ts";

const everything = process.env.WAYBILL_TEST_ALL === "1";

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

test("sockets that send nothing, or a byte now and then, are ended, and others are served meanwhile", async () => {
  const replica = await fixture.replica();
  const sockets: Socket[] = [];
  let ended = 0;
  for (let index = 0; index < (everything ? 1_000 : 100); index += 1) {
    const socket = connect(replica.ports.public, "127.0.0.1", () =>
      socket.write("PUT /v1/producers/payments/half-messages/a HTTP/1.1\r\nx: "),
    );
    socket.on("close", () => {
      ended += 1;
    });
    socket.on("error", () => undefined);
    socket.resume();
    sockets.push(socket);
  }
  expect(await replica.prepare(newMessageId())).toMatchObject({ status: 201 });
  await waitUntil(() => ended === sockets.length, { what: "the slow sockets are ended", deadlineMs: 60_000 });
  await replica.stop();
});
