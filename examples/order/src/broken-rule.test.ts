import { expect, test } from "vitest";
import { brokenRule } from "./broken-rule.ts";

const failed = (fields: object): Error => Object.assign(new Error("failed"), fields);

test.each([
  [{ code: "23514", constraint: "customer_credit" }, "credit"],
  [{ errno: 3819, sqlMessage: "Check constraint 'customer_credit' is violated." }, "credit"],
  [{ errno: 4025, sqlMessage: "CONSTRAINT `customer_credit` failed for `shop`.`customer`" }, "credit"],
  [{ code: "23505", constraint: "customer_order_pkey" }, "orderId"],
  [{ errno: 1062, sqlMessage: "Duplicate entry 'x' for key 'customer_order.PRIMARY'" }, "orderId"],
  [{ errno: 1062, sqlMessage: "Duplicate entry 'x' for key 'PRIMARY'" }, "orderId"],
  [{ code: "40P01" }, "deadlock"],
  [{ errno: 1213, sqlMessage: "Deadlock found when trying to get lock; try restarting transaction" }, "deadlock"],
  [{ code: "23514", constraint: "customer_order_quantity_check" }, null],
  [{ errno: 3819, sqlMessage: "Check constraint 'customer_order_chk_1' is violated." }, null],
  [{ errno: 1062, sqlMessage: "Duplicate entry 'x' for key 'waybill_outbox_id.PRIMARY'" }, null],
  [{}, null],
])("%j breaks %s", (fields, rule) => {
  expect(brokenRule(failed(fields))).toBe(rule);
});

test("what is no error breaks nothing", () => {
  expect(brokenRule("23514")).toBeNull();
});
