import { expect, test } from "vitest";
import { parseOrder } from "./parse-order.ts";

const order = { orderId: "0b5f4a52-3c0e-4d50-8f6f-3b1c8f0a7c11", customerId: "anna", sku: "apple", quantity: 2, totalCents: 500 };

test("an order is taken as it is, without what does not belong to it", () => {
  expect(parseOrder({ ...order, status: "confirmed" })).toEqual({ order });
});

test("every rule that a body breaks is named at once", () => {
  const answer = parseOrder({ orderId: "1", customerId: "", sku: "a b", quantity: 1.5, totalCents: -1 });
  expect("problems" in answer && answer.problems.map((problem) => problem.split(" ")[0])).toEqual([
    "orderId",
    "customerId",
    "sku",
    "quantity",
    "totalCents",
  ]);
});

test("what is no object breaks all of them", () => {
  for (const body of [null, "order", 7, []]) expect("problems" in parseOrder(body)).toBe(true);
});
