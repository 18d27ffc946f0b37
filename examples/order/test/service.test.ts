import { randomUUID } from "node:crypto";
import { type Secret, secret, signingSecret, systemClock } from "@waybill/core";
import { deadLetterMigrations } from "@waybill/dead-letter";
import { createHalfMessageService, createServiceClient, halfMessageMigrations } from "@waybill/half-message";
import { confirmationSender, httpCaller, httpTransport } from "@waybill/http";
import { inboxMigrations } from "@waybill/inbox";
import { outboxMigrations } from "@waybill/outbox";
import { migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import { freePort, type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
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
  halfMessages: null,
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

/** An answer of the inventory service to the placed order, or to another message, as its relay would send it. */
async function answer(type: string, { orderId, customerId }: Order, id = randomUUID(), inReplyTo = orderId): Promise<number> {
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
  const response = await fetch(`${service.url}/messages`, {
    method: "POST",
    headers,
    body: JSON.stringify({ orderId, customerId, inReplyTo }),
  });
  await response.arrayBuffer();
  return response.status;
}

/** Types of the messages of an order that the inventory service has not replied to. */
const unanswered = async ({ orderId }: Order): Promise<readonly string[]> =>
  (
    await client.query("select type from waybill_confirmation where payload::json ->> 'orderId' = $1 order by created_at", [orderId])
  ).rows.map(({ type }) => String(type));
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

test("a placed order waits for its reply, which confirms it, whatever it says; one that comes late or from elsewhere confirms nothing", async () => {
  const [reserved, refused] = [order(), order()];
  await place(reserved);
  await place(refused);
  expect([await unanswered(reserved), await unanswered(refused)]).toEqual([["shop.order.placed.v1"], ["shop.order.placed.v1"]]);
  expect(await answer("shop.stock.reserved.v1", reserved)).toBe(200);
  expect([await unanswered(reserved), await unanswered(refused)]).toEqual([[], ["shop.order.placed.v1"]]);
  expect(await answer("shop.stock.refused.v1", refused)).toBe(200);
  expect(await unanswered(refused)).toEqual([]);
  expect(await answer("shop.stock.released.v1", refused)).toBe(200);
});

test("a consumer without an outbox confirms over HTTP, with its secret; whoever has none of it does not", async () => {
  const [ours, others] = [1, 2].map((fill) => signingSecret(`whsec_${Buffer.alloc(24, fill).toString("base64")}`)) as [Secret, Secret];
  const asking = await startService({ ...configurationOf(testbed.url), signingSecrets: [ours] });
  const sender = (mine: Secret) => confirmationSender({ url: `${asking.url}/confirmations`, secrets: [mine] });
  const [inventory, stranger] = [sender(ours), sender(others)];
  try {
    const given = order();
    await place(given);
    const confirmation = { messageId: given.orderId, consumer: "inventory" };
    expect(await stranger.confirm(confirmation)).toEqual({ kind: "failed", reason: "status.401" });
    expect(await unanswered(given)).toEqual(["shop.order.placed.v1"]);
    expect(await inventory.confirm(confirmation)).toEqual({ kind: "ok", isWaitedFor: true });
    expect(await unanswered(given)).toEqual([]);
    expect(await inventory.confirm(confirmation)).toEqual({ kind: "ok", isWaitedFor: false });
    expect(await inventory.confirm({ ...confirmation, messageId: randomUUID() })).toEqual({ kind: "ok", isWaitedFor: false });
    await asking.close();
    expect(await inventory.confirm(confirmation)).toEqual({ kind: "failed", reason: "notConnected" });
  } finally {
    inventory.close();
    stranger.close();
    await asking.close();
  }
});

test("a card that is refused rejects the order, gives the credit back and cancels it at the inventory, until that replies", async () => {
  const given = order();
  await place(given);
  await client.query("update customer set card_limit_cents = 499 where customer_id = $1", [given.customerId]);
  const id = randomUUID();
  for (let time = 0; time < 2; time += 1) expect(await answer("shop.stock.reserved.v1", given, id)).toBe(200);
  expect([await statusOf(given.orderId), await creditOf(given)]).toEqual(["rejected", 100_000_000]);
  const { rows } = await client.query(
    "select message_id, topic, key, payload from waybill_outbox where type = 'shop.order.cancelled.v1' and key = $1",
    [given.customerId],
  );
  expect(rows).toMatchObject([{ topic: "orders", payload: JSON.stringify({ orderId: given.orderId, customerId: given.customerId }) }]);
  expect(await unanswered(given)).toEqual(["shop.order.cancelled.v1"]);
  expect(await answer("shop.stock.released.v1", given, randomUUID(), String(rows[0]?.["message_id"]))).toBe(200);
  expect([await unanswered(given), await statusOf(given.orderId)]).toEqual([[], "rejected"]);
});

test("a card is charged for each confirmed order, up to its limit", async () => {
  const customerId = `customer-${randomUUID()}`;
  const orders = [order({ customerId }), order({ customerId }), order({ customerId })];
  for (const each of orders) await place(each);
  await client.query("update customer set card_limit_cents = 1000 where customer_id = $1", [customerId]);
  for (const each of orders) await answer("shop.stock.reserved.v1", each);
  const statuses = await Promise.all(orders.map(({ orderId }) => statusOf(orderId)));
  expect(statuses.filter((status) => status === "confirmed")).toHaveLength(2);
  expect(statuses.filter((status) => status === "rejected")).toHaveLength(1);
  const { rows } = await client.query("select card_used_cents from customer where customer_id = $1", [customerId]);
  expect(rows).toEqual([{ card_used_cents: "1000" }]);
});

test("an answer about an unknown order is put aside, not lost", async () => {
  const id = randomUUID();
  expect(await answer("shop.stock.reserved.v1", order(), id)).toBe(200);
  const { rows } = await client.query("select state from waybill_dead_letter where message_id = $1", [id]);
  expect(rows).toEqual([{ state: "dead" }]);
});

test("a payment is added to its order once, however often it comes, and acknowledged", async () => {
  const [key, orderKey] = ["payments-payments-payments-payments", "order-order-order-order-order-order"];
  const url = `http://127.0.0.1:${await freePort()}`;
  const database = openDatabase({ url: testbed.url, connections: 12 });
  await migrateUp(database, namespace("postgres"), [halfMessageMigrations]);
  const paid = await startService({ ...configurationOf(testbed.url), halfMessages: { url, keyId: "order-1", key: secret(orderKey) } });
  const transport = httpTransport({ url: `${paid.url}/messages` });
  const halfMessages = await createHalfMessageService({
    database,
    http: httpCaller(),
    listen: new URL(url).host,
    admin: null,
    keys: [
      { id: "payments-1", secret: secret(key), producer: "payments", scopes: ["decide"] },
      { id: "order-1", secret: secret(orderKey), consumer: "order", scopes: ["ack"] },
    ],
    producers: { payments: { check: { via: "pull" } } },
    destinations: { order: { transport, ack: "explicit", consumer: "order" } },
    routes: { payments: ["order"] },
    durability: "relaxed",
    pollMs: 100,
  });
  const stop = new AbortController();
  const running = halfMessages.run({ signal: stop.signal });
  const payments = createServiceClient({ service: { url, key: { id: "payments-1", secret: key } }, clock: systemClock });
  try {
    const given = order();
    await place(given);
    const [paymentId, unknown] = [randomUUID(), randomUUID()];
    const commit = (id: string, orderId: string) => {
      const payload = JSON.stringify({ paymentId: id, orderId, customerId: given.customerId, cents: 300 });
      const halfMessage = { messages: [{ id, type: "shop.payment.taken.v1", topic: "payments", key: given.customerId, payload }] };
      const target = `/v1/producers/payments/half-messages/${id}/commit`;
      return payments.call({ method: "POST", target, body: JSON.stringify({ halfMessage }) }, 5_000);
    };
    const isReady = async () => (await commit(paymentId, given.orderId)).kind === "answered";
    await waitUntil(isReady, { what: "the half-message service answers" });
    await commit(unknown, randomUUID());
    const stateOf = async (id: string) =>
      (await client.query("select state from waybill_delivery where message_id = $1", [id])).rows.map(({ state }) => state);
    await waitUntil(async () => String(await stateOf(paymentId)) === "acked" && String(await stateOf(unknown)) === "acked", {
      what: "both are acknowledged",
    });
    // The acknowledgement is lost, and the service brings it again.
    await client.query(
      "update waybill_delivery set state = 'awaiting_ack', acked_at = null, acked_by = null, due_at = now() where message_id = $1",
      [paymentId],
    );
    await waitUntil(async () => String(await stateOf(paymentId)) === "acked", { what: "it is acknowledged again" });
    const found = await (await fetch(`${paid.url}/orders/${given.orderId}`)).json();
    expect(found).toMatchObject({ paidCents: 300 });
    const { rows } = await client.query("select cents from order_payment where message_id = $1", [paymentId]);
    expect(rows).toEqual([{ cents: "300" }]);
    // A payment of an order that nobody placed was put aside, not lost.
    const dead = await client.query("select state from waybill_dead_letter where message_id = $1", [unknown]);
    expect(dead.rows).toEqual([{ state: "dead" }]);
  } finally {
    payments.close();
    await paid.close();
    stop.abort();
    await running;
    await transport.close({ deadlineMs: 5_000 });
    await database.close();
  }
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
    ["/metrics", 200],
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
