import { expect, test } from "vitest";
import { parsePayment } from "./parse-payment.ts";

const payment = {
  paymentId: "7a0c8a7e-2f5e-4d35-9b0e-0a4a4f7f2c01",
  orderId: "0b5f4a52-3c0e-4d50-8f6f-3b1c8f0a7c11",
  customerId: "anna",
  cents: 500,
};

test("a payment is taken as it is, without what does not belong to it", () => {
  expect(parsePayment({ ...payment, isRefunded: true })).toEqual({ payment });
});

test("every rule that a body breaks is named at once", () => {
  const answer = parsePayment({ paymentId: "1", orderId: payment.orderId.toUpperCase(), customerId: "", cents: 0 });
  expect("problems" in answer && answer.problems.map((problem) => problem.split(" ")[0])).toEqual([
    "paymentId",
    "orderId",
    "customerId",
    "cents",
  ]);
});

test("what is no object breaks all of them", () => {
  for (const body of [null, "payment", 7, []]) expect("problems" in parsePayment(body)).toBe(true);
});
