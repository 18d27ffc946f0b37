import { randomUUID } from "node:crypto";
import { secret } from "@waybill/core";
import { deadLetterMigrations } from "@waybill/dead-letter";
import { inboxMigrations } from "@waybill/inbox";
import { outboxMigrations } from "@waybill/outbox";
import { migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import { type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { orderMigrations } from "../src/migrations.ts";
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
    orderMigrations,
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
  readonly totalCents: number;
}

const order = (changes: Partial<Order> = {}): Order => ({
  orderId: randomUUID(),
  customerId: `customer-${randomUUID()}`,
  sku: "apple",
  quantity: 2,
  totalCents: 500,
  ...changes,
});

async function place(given: object): Promise<number> {
  const answer = await fetch(`${service.url}/orders`, { method: "POST", body: JSON.stringify(given) });
  await answer.arrayBuffer();
  return answer.status;
}

async function statusOf(orderId: string): Promise<string | null> {
  const answer = await fetch(`${service.url}/orders/${orderId}`);
  return answer.status === 404 ? null : ((await answer.json()) as { status: string }).status;
}

/** An answer of the inventory service, as its relay would send it. */
async function answer(type: string, { orderId, customerId }: Order, id = randomUUID()): Promise<number> {
  const headers = {
    "ce-specversion": "1.0",
    "ce-id": id,
    "ce-source": "/inventory-service",
    "ce-type": type,
    "ce-topic": "stock",
    "ce-partitionkey": customerId,
    "ce-time": new Date().toISOString(),
    "content-type": "application/json",
  };
  const response = await fetch(`${service.url}/messages`, { method: "POST", headers, body: JSON.stringify({ orderId, customerId }) });
  await response.arrayBuffer();
  return response.status;
}

const messagesOf = async ({ orderId }: Order) =>
  (await client.query("select topic, type, key, payload from waybill_outbox where message_id = $1", [orderId])).rows;
const creditOf = async ({ customerId }: Order) =>
  Number((await client.query("select credit_cents from customer where customer_id = $1", [customerId])).rows[0]?.credit_cents);

test("a placed order is there together with its message, and pending", async () => {
  const given = order();
  expect(await place(given)).toBe(201);
  expect(await statusOf(given.orderId)).toBe("pending");
  const [message, ...more] = await messagesOf(given);
  expect(more).toEqual([]);
  expect(message).toMatchObject({ topic: "orders", type: "shop.order.placed.v1", key: given.customerId });
  expect(JSON.parse(message.payload)).toEqual(given);
});

test("an order that fails after its message was appended leaves neither", async () => {
  const given = order({ totalCents: 200_000_000 });
  expect(await place(given)).toBe(402);
  expect(await statusOf(given.orderId)).toBeNull();
  expect(await messagesOf(given)).toEqual([]);
  expect((await client.query("select from customer where customer_id = $1", [given.customerId])).rowCount).toBe(0);
});

test("placing an order again changes nothing, also side by side", async () => {
  const given = order();
  const statuses = await Promise.all(Array.from({ length: 8 }, () => place(given)));
  expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 200, 200, 200, 200, 200, 200, 201]);
  expect(await messagesOf(given)).toHaveLength(1);
  expect(await creditOf(given)).toBe(100_000_000 - 500);
});

test("the id of another order is refused", async () => {
  const given = order();
  expect(await place(given)).toBe(201);
  expect(await place({ ...given, quantity: 3 })).toBe(409);
  expect(await place({ ...given, customerId: "somebody-else" })).toBe(409);
});

test("orders of one customer are appended in the order of their places", async () => {
  const customerId = `customer-${randomUUID()}`;
  const statuses = await Promise.all(Array.from({ length: 20 }, () => place(order({ customerId }))));
  expect(statuses.every((status) => status === 201)).toBe(true);
  const { rows } = await client.query(
    "select o.place from customer_order o join waybill_outbox m on m.message_id = o.order_id where o.customer_id = $1 order by m.id",
    [customerId],
  );
  expect(rows.map(({ place: each }) => each)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
});

test("an answer moves the order, however often it comes", async () => {
  const [confirmed, rejected] = [order(), order()];
  await place(confirmed);
  await place(rejected);
  const id = randomUUID();
  expect(await answer("shop.stock.reserved.v1", confirmed)).toBe(200);
  expect(await Promise.all([answer("shop.stock.refused.v1", rejected, id), answer("shop.stock.refused.v1", rejected, id)])).toEqual([
    200, 200,
  ]);
  expect(await answer("shop.stock.refused.v1", rejected, id)).toBe(200);
  expect([await statusOf(confirmed.orderId), await statusOf(rejected.orderId)]).toEqual(["confirmed", "rejected"]);
  expect((await client.query("select from order_change where order_id = $1", [rejected.orderId])).rowCount).toBe(1);
  expect([await creditOf(confirmed), await creditOf(rejected)]).toEqual([100_000_000 - 500, 100_000_000]);
});

test("an answer about an unknown order is put aside, not lost", async () => {
  const id = randomUUID();
  expect(await answer("shop.stock.reserved.v1", order(), id)).toBe(200);
  const { rows } = await client.query("select state from waybill_dead_letter where message_id = $1", [id]);
  expect(rows).toEqual([{ state: "dead" }]);
});

test("a body that is no order is refused with every rule it breaks", async () => {
  const response = await fetch(`${service.url}/orders`, { method: "POST", body: '{"quantity":0}' });
  expect(response.status).toBe(400);
  expect(((await response.json()) as { problems: unknown[] }).problems).toHaveLength(5);
  expect(await place({ ...order(), sku: "x".repeat(100_000) })).toBe(400);
});

test("it is alive and ready, and has no other paths", async () => {
  for (const [path, status] of [
    ["/livez", 200],
    ["/readyz", 200],
    ["/", 404],
    ["/orders/1", 404],
  ] as const) {
    expect((await fetch(service.url + path)).status).toBe(status);
  }
});

test("without its tables it does not start and says what to do", async () => {
  const empty = await testDatabase();
  try {
    await expect(startService(configurationOf(empty.url))).rejects.toMatchObject({ code: "WAYBILL_SCHEMA_MISMATCH" });
  } finally {
    await empty.drop();
  }
});

test("a stop lets what is under way end and leaves no connection behind", async () => {
  const other = await startService(configurationOf(testbed.url));
  const under = await fetch(`${other.url}/orders`, { method: "POST", body: JSON.stringify(order()) });
  expect(under.status).toBe(201);
  await under.arrayBuffer();
  await Promise.all([other.close(), other.close()]);
  await expect(fetch(`${other.url}/livez`)).rejects.toThrow();
  await service.close();
  await waitUntil(
    async () =>
      (await client.query("select from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()", [testbed.name])).rowCount === 0,
    { what: "no connection is left" },
  );
});
