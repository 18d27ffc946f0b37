import { randomUUID } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { secret, signingSecret, verifySignature } from "@waybill/core";
import { deadLetterMigrations } from "@waybill/dead-letter";
import { inboxMigrations } from "@waybill/inbox";
import { outboxMigrations } from "@waybill/outbox";
import { migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import { type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inventoryMigrations } from "../src/migrations.ts";
import { type Service, startService } from "../src/service.ts";

let testbed: TestDatabase;
let client: pg.Client;
let service: Service;

const configurationOf = (url: string) => ({
  databaseUrl: secret(url),
  host: "127.0.0.1",
  port: 0,
  signingSecrets: [],
  brokerUrl: null,
  topicPrefix: "",
});

beforeAll(async () => {
  testbed = await testDatabase();
  const database = openDatabase({ url: testbed.url });
  await migrateUp(database, namespace("postgres"), [
    sqlMigrations,
    outboxMigrations,
    deadLetterMigrations,
    inboxMigrations,
    inventoryMigrations,
  ]);
  await database.close();
  client = new pg.Client({ connectionString: testbed.url });
  await client.connect();
  service = await startService(configurationOf(testbed.url));
});

afterAll(async () => {
  await service?.close();
  await client?.end();
  await testbed?.drop();
});

interface Order {
  readonly orderId: string;
  readonly customerId: string;
  readonly sku: string;
  readonly quantity: number;
}

const order = (sku: string, quantity = 2): Order => ({ orderId: randomUUID(), customerId: `customer-${randomUUID()}`, sku, quantity });

async function stock(onHand: number): Promise<string> {
  const sku = `article-${randomUUID()}`;
  const answer = await fetch(`${service.url}/stock/${sku}`, { method: "PUT", body: JSON.stringify({ onHand }) });
  expect(answer.status).toBe(200);
  return sku;
}

const stockOf = async (sku: string): Promise<unknown> => await (await fetch(`${service.url}/stock/${sku}`)).json();

/** An order's message, as the order service's relay would send it. */
async function send(given: object, { id = randomUUID(), type = "shop.order.placed.v1", key = "", to = service } = {}): Promise<number> {
  const headers = {
    "ce-specversion": "1.0",
    "ce-id": id,
    "ce-source": "/order-service",
    "ce-type": type,
    "ce-topic": "orders",
    "ce-partitionkey": key === "" ? (given as Order).customerId : key,
    "ce-time": new Date().toISOString(),
    "content-type": "application/json",
  };
  const response = await fetch(`${to.url}/messages`, { method: "POST", headers, body: JSON.stringify(given) });
  await response.arrayBuffer();
  return response.status;
}

const answersTo = async ({ orderId }: Order) =>
  (
    await client.query(
      "select m.type, m.topic, m.key, m.payload from waybill_outbox m join reservation r on r.answer_id = m.message_id where r.order_id = $1",
      [orderId],
    )
  ).rows;

test("an order takes its stock, and the answer lies in the outbox by the same commit", async () => {
  const sku = await stock(5);
  const given = order(sku);
  const id = randomUUID();
  expect(await send(given, { id })).toBe(200);
  expect(await stockOf(sku)).toEqual({ sku, onHand: 5, reserved: 2 });
  const [answer, ...more] = await answersTo(given);
  expect(more).toEqual([]);
  expect(answer).toMatchObject({ type: "shop.stock.reserved.v1", topic: "stock", key: given.customerId });
  expect(JSON.parse(answer.payload)).toEqual({ orderId: given.orderId, customerId: given.customerId, inReplyTo: id });
});

test("a cancelled order gives its stock back once, however often the message comes, and is answered", async () => {
  const sku = await stock(5);
  const [given, other] = [order(sku), order(sku)];
  await send(given);
  await send(other);
  const { orderId, customerId } = given;
  const id = randomUUID();
  for (let time = 0; time < 3; time += 1) expect(await send({ orderId, customerId }, { id, type: "shop.order.cancelled.v1" })).toBe(200);
  expect(await stockOf(sku)).toEqual({ sku, onHand: 5, reserved: 2 });
  const { rows } = await client.query("select payload from waybill_outbox where type = 'shop.stock.released.v1' and key = $1", [
    customerId,
  ]);
  expect(rows.map(({ payload }) => JSON.parse(String(payload)) as unknown)).toEqual([{ orderId, customerId, inReplyTo: id }]);
});

test("an order without reserved stock that is cancelled is put aside, and takes nothing", async () => {
  const sku = await stock(1);
  const given = order(sku);
  await send(given);
  const id = randomUUID();
  await send({ orderId: given.orderId, customerId: given.customerId }, { id, type: "shop.order.cancelled.v1" });
  expect(await stockOf(sku)).toEqual({ sku, onHand: 1, reserved: 0 });
  const { rows } = await client.query("select state, reason from waybill_dead_letter where message_id = $1", [id]);
  expect(rows).toEqual([{ state: "dead", reason: "nothingReserved" }]);
});

test("an order beyond the stock is refused and takes nothing", async () => {
  const sku = await stock(1);
  const given = order(sku);
  expect(await send(given)).toBe(200);
  expect(await stockOf(sku)).toEqual({ sku, onHand: 1, reserved: 0 });
  expect(await answersTo(given)).toMatchObject([{ type: "shop.stock.refused.v1" }]);
});

test("a message that comes ten times takes its stock once and is answered once", async () => {
  const sku = await stock(100);
  const given = order(sku);
  const id = randomUUID();
  expect(new Set(await Promise.all(Array.from({ length: 5 }, () => send(given, { id }))))).toEqual(new Set([200]));
  for (let time = 0; time < 5; time += 1) expect(await send(given, { id })).toBe(200);
  expect(await stockOf(sku)).toEqual({ sku, onHand: 100, reserved: 2 });
  expect(await answersTo(given)).toHaveLength(1);
});

test("orders side by side never take more than there is", async () => {
  const sku = await stock(10);
  const orders = Array.from({ length: 16 }, () => order(sku, 1));
  expect(new Set(await Promise.all(orders.map((each) => send(each))))).toEqual(new Set([200]));
  expect(await stockOf(sku)).toEqual({ sku, onHand: 10, reserved: 10 });
  const { rows } = await client.query("select is_reserved, count(*)::int from reservation where sku = $1 group by 1 order by 1", [sku]);
  expect(rows).toEqual([
    { is_reserved: false, count: 6 },
    { is_reserved: true, count: 10 },
  ]);
});

test("a message of a type it does not know is held, not lost", async () => {
  const id = randomUUID();
  expect(await send({ text: "hello" }, { id, type: "shop.order.forgotten.v1", key: "nobody" })).toBe(200);
  const { rows } = await client.query("select type, state from waybill_dead_letter where message_id = $1", [id]);
  expect(rows).toEqual([{ type: "shop.order.forgotten.v1", state: "dead" }]);
});

test("stock is set, not below what is reserved, and wrong requests are refused", async () => {
  const sku = await stock(5);
  await send(order(sku, 3));
  const set = (path: string, body: string) => fetch(`${service.url}${path}`, { method: "PUT", body });
  expect((await set(`/stock/${sku}`, '{"onHand":2}')).status).toBe(409);
  expect((await set(`/stock/${sku}`, '{"onHand":3}')).status).toBe(200);
  for (const body of ['{"onHand":-1}', '{"onHand":1.5}', "{}", "nonsense", '{"onHand":"1"}'])
    expect((await set(`/stock/${sku}`, body)).status).toBe(400);
  expect((await set("/stock/a%20b", '{"onHand":2}')).status).toBe(404);
  expect((await fetch(`${service.url}/stock/nothing`)).status).toBe(404);
});

test("it is alive and ready, and has no other paths", async () => {
  for (const [path, status] of [
    ["/livez", 200],
    ["/readyz", 200],
    ["/metrics", 200],
    ["/", 404],
  ] as const) {
    expect((await fetch(service.url + path)).status).toBe(status);
  }
});

test("its metrics tell what became of messages, and a dead letter is told to whoever is configured, signed", async () => {
  const signing = signingSecret(`whsec_${Buffer.alloc(24, 1).toString("base64")}`);
  const told: { readonly headers: IncomingHttpHeaders; readonly body: Buffer }[] = [];
  const receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      told.push({ headers: request.headers, body: Buffer.concat(chunks) });
      response.end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  const own = await startService({ ...configurationOf(testbed.url), alerts: { url: secret(url), secrets: [signing] } });
  expect(await send(order(await stock(5)), { to: own })).toBe(200);
  expect(await send({}, { to: own, type: "shop.order.forgotten.v1", key: "forgotten" })).toBe(200);
  await waitUntil(() => told.length > 0, { what: "the alert" });
  const metrics = await (await fetch(`${own.url}/metrics`)).text();
  await own.close();
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
  const { headers, body } = told[0] as (typeof told)[number];
  verifySignature([signing], headers as Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string>, body, Date.now());
  expect(JSON.parse(body.toString())).toMatchObject({
    kind: "dead_letter",
    subject: "inventory",
    detail: "A message became a dead letter: unknownType.",
  });
  expect(metrics).toContain('waybill_inbox_handled_total{consumer="inventory"} 1\n');
  expect(metrics).toContain('waybill_inbox_dead_letters_total{consumer="inventory"} 1\n');
  expect(metrics).toContain('waybill_inbox_handler_seconds_bucket{consumer="inventory",le="5"} 1\n');
});

test("without its tables it does not start and says what to do", async () => {
  const empty = await testDatabase();
  try {
    await expect(startService(configurationOf(empty.url))).rejects.toMatchObject({ code: "WAYBILL_SCHEMA_MISMATCH" });
  } finally {
    await empty.drop();
  }
});

test("a stop leaves no connection behind", async () => {
  await Promise.all([service.close(), service.close()]);
  await expect(fetch(`${service.url}/livez`)).rejects.toThrow();
  await waitUntil(
    async () =>
      (await client.query("select from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()", [testbed.name])).rowCount === 0,
    { what: "no connection is left" },
  );
});
