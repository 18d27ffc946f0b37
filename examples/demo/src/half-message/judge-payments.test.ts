import { expect, test } from "vitest";
import { judgeDecisions, judgePayments, type PaymentFacts } from "./judge-payments.ts";

const facts: PaymentFacts = {
  limitCents: 1_000,
  payments: [
    { paymentId: "p1", orderId: "o1", customerId: "anna", cents: 300 },
    { paymentId: "p2", orderId: "o2", customerId: "anna", cents: 200 },
  ],
  cards: [{ customerId: "anna", limitCents: 500 }],
  orders: [
    { orderId: "o1", paidCents: 300 },
    { orderId: "o2", paidCents: 200 },
    { orderId: "o3", paidCents: 0 },
  ],
};

test("payments, cards and orders that tell one story are as expected", () => {
  expect(judgePayments(facts)).toEqual([]);
});

test("a payment noted twice or not at all, an order that is not there and a card charged twice are named", () => {
  expect(
    judgePayments({
      ...facts,
      cards: [{ customerId: "anna", limitCents: 200 }],
      orders: [
        { orderId: "o1", paidCents: 600 },
        { orderId: "o3", paidCents: 0 },
      ],
    }),
  ).toEqual(["order o1: 600 cents paid, 300 taken", "order o2 was paid and does not exist", "anna: 200 cents left, 500 expected"]);
});

test("a decision that was made twice, or without a trace, is named", () => {
  const half = (id: string, state: "committed" | "prepared", decisions: number) => ({
    producer: "payments",
    id,
    state,
    decidedBy: null,
    decisions,
  });
  expect(judgeDecisions([half("a", "committed", 1), half("b", "prepared", 0)])).toEqual([]);
  expect(judgeDecisions([half("a", "committed", 2), half("b", "committed", 0)])).toEqual([
    "half message a is committed, and was decided 2 times",
    "half message b is committed, and was decided 0 times",
  ]);
});
