import { expect, test } from "vitest";
import { judgeStock, type StockFacts } from "./judge-stock.ts";

const good: StockFacts = {
  creditCents: 1_000,
  stock: [{ sku: "apple", onHand: 3, reserved: 2 }],
  reservations: [
    { orderId: "a", sku: "apple", quantity: 2, isReserved: true },
    { orderId: "b", sku: "apple", quantity: 2, isReserved: false },
  ],
  orders: [
    { orderId: "a", customerId: "anna", sku: "apple", quantity: 2, totalCents: 300, status: "confirmed" },
    { orderId: "b", customerId: "anna", sku: "apple", quantity: 2, totalCents: 200, status: "rejected" },
  ],
  customers: [{ customerId: "anna", creditCents: 700 }],
};

test("a story that hangs together has no problem", () => {
  expect(judgeStock(good)).toEqual([]);
});

const spoiled: readonly [string, StockFacts, RegExp][] = [
  ["stock taken twice", { ...good, stock: [{ sku: "apple", onHand: 3, reserved: 4 }] }, /4 reserved, 2 expected/],
  ["an order reserved without stock", { ...good, stock: [{ sku: "apple", onHand: 1, reserved: 2 }] }, /without enough stock/],
  ["an order refused in spite of stock", { ...good, stock: [{ sku: "apple", onHand: 9, reserved: 2 }] }, /in spite of enough stock/],
  ["an order decided twice", { ...good, reservations: [...good.reservations, ...good.reservations.slice(1)] }, /decided twice/],
  ["an order nobody decided", { ...good, reservations: good.reservations.slice(0, 1) }, /b was not decided/],
  ["a decision about no order", { ...good, orders: good.orders.slice(0, 1) }, /b was decided and does not exist/],
  [
    "an answer that never came",
    { ...good, orders: good.orders.map((order) => ({ ...order, status: "pending" })) },
    /a is pending, confirmed expected/,
  ],
  ["an order decided as another", { ...good, orders: good.orders.map((order) => ({ ...order, quantity: 1 })) }, /as another order/],
  ["credit given back twice", { ...good, customers: [{ customerId: "anna", creditCents: 900 }] }, /credit 900, 700 expected/],
];
for (const [name, facts, problem] of spoiled) {
  test(`${name} is told`, () => {
    expect(judgeStock(facts).join("\n")).toMatch(problem);
  });
}
