/**
 * An order's way through both services, as processes, with their relays: request and reply, and the compensation. Stock is reserved, the payment is refused, the stock is
 * released; and no message waits for a confirmation afterwards.
 */
import { randomUUID } from "node:crypto";
import { freePort, type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Children, createChildren } from "../src/children.ts";
import { migrate } from "../src/migrate.ts";
import { programOf } from "../src/program.ts";
import { query } from "../src/query.ts";

let shop: TestDatabase;
let stock: TestDatabase;
let children: Children;
let orders: string;
let inventory: string;

beforeAll(async () => {
  [shop, stock] = await Promise.all([testDatabase(), testDatabase()]);
  await Promise.all([migrate(shop.url, { service: "order" }), migrate(stock.url, { service: "inventory" })]);
  const ports = [await freePort(), await freePort()] as const;
  [orders, inventory] = [`http://127.0.0.1:${ports[0]}`, `http://127.0.0.1:${ports[1]}`];
  children = createChildren(new AbortController().signal);
  children.make("order", [programOf("order")], { DATABASE_URL: shop.url, PORT: String(ports[0]) });
  children.make("inventory", [programOf("inventory")], { DATABASE_URL: stock.url, PORT: String(ports[1]) });
  const relayTo = (url: string): string[] => [
    programOf("cli"),
    "relay",
    "--transport",
    `${url}/messages`,
    "--lease-ms",
    "3000",
    "--admin",
    "127.0.0.1:0",
  ];
  children.make("order relay", relayTo(inventory), { WAYBILL_DATABASE: shop.url });
  children.make("inventory relay", relayTo(orders), { WAYBILL_DATABASE: stock.url });
  await children.start([`${orders}/readyz`, `${inventory}/readyz`]);
}, 180_000);

afterAll(async () => {
  await children?.stop();
  await Promise.all([shop?.drop(), stock?.drop()]);
});

const place = async (customerId: string, quantity: number): Promise<string> => {
  const orderId = randomUUID();
  const order = { orderId, customerId, sku: "apple", quantity, totalCents: 500 };
  expect((await fetch(`${orders}/orders`, { method: "POST", body: JSON.stringify(order) })).status).toBe(201);
  return orderId;
};
const statusOf = async (orderId: string): Promise<unknown> =>
  ((await (await fetch(`${orders}/orders/${orderId}`)).json()) as { readonly status: unknown }).status;
const becomes = (orderId: string, status: string): Promise<unknown> =>
  waitUntil(async () => (await statusOf(orderId)) === status, { what: `the order is ${status}`, deadlineMs: 60_000 });
const reserved = async (): Promise<unknown> =>
  ((await (await fetch(`${inventory}/stock/apple`)).json()) as { readonly reserved: unknown }).reserved;

test("an order is confirmed, refused for want of stock, or refused by the card, and then its stock is released", {
  timeout: 180_000,
}, async () => {
  await fetch(`${inventory}/stock/apple`, { method: "PUT", body: '{"onHand":5}' });
  await becomes(await place("anna", 2), "confirmed");
  await becomes(await place("anna", 4), "rejected");
  expect(await reserved()).toBe(2);

  await query(shop.url, "insert into customer (customer_id, card_limit_cents) values ('berta', 499)");
  await becomes(await place("berta", 3), "rejected");
  await waitUntil(async () => (await reserved()) === 2, { what: "the stock is released", deadlineMs: 60_000 });
  await becomes(await place("anna", 3), "confirmed");
  expect(await reserved()).toBe(5);
  const releases = await query<{ quantity: number }>(stock.url, "select quantity from stock_release");
  expect(releases).toEqual([{ quantity: 3 }]);
  const unconfirmed = async (): Promise<number> => (await query(shop.url, "select type from waybill_confirmation")).length;
  await waitUntil(async () => (await unconfirmed()) === 0, { what: "every message is replied to", deadlineMs: 60_000 });
  expect(await query(shop.url, "select type from waybill_dead_letter")).toEqual([]);
  expect(await query(stock.url, "select type from waybill_dead_letter")).toEqual([]);
});
