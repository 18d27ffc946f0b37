import { expect, test } from "vitest";
import { createPlan } from "./plan.ts";

test("one seed is one plan, another is another", () => {
  expect(createPlan(7, 200)).toEqual(createPlan(7, 200));
  expect(createPlan(8, 200)).not.toEqual(createPlan(7, 200));
});

test("one order in ten is rolled back, rounded down", () => {
  for (const [orders, rolledBack] of [
    [20, 2],
    [99, 9],
    [1_000, 100],
  ] as const) {
    expect(createPlan(1, orders).orders.filter(({ isRolledBack }) => isRolledBack)).toHaveLength(rolledBack);
  }
});

test("order ids are UUIDs and unique", () => {
  const ids = createPlan(3, 5_000).orders.map(({ orderId }) => orderId);
  expect(new Set(ids).size).toBe(5_000);
  expect(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(true);
});

test("customers order several times, and some articles run out", () => {
  const { orders, stock } = createPlan(5, 1_000);
  expect(new Set(orders.map(({ customerId }) => customerId)).size).toBeLessThanOrEqual(40);
  const demand = orders.filter(({ isRolledBack }) => !isRolledBack).reduce((sum, { quantity }) => sum + quantity, 0);
  expect([...stock.values()].reduce((sum, count) => sum + count, 0)).toBeLessThan(demand);
});

test("a relay is killed three times and each service once, one after the other, while there is work", () => {
  for (let seed = 0; seed < 50; seed += 1) {
    const { kills } = createPlan(seed, 20);
    expect(kills.filter(({ target }) => target.endsWith("relay"))).toHaveLength(3);
    expect(kills.filter(({ target }) => target.endsWith("service")).map(({ target }) => target)).toEqual([
      "order service",
      "inventory service",
    ]);
    expect(kills.map(({ at }) => at)).toEqual(kills.map(({ at }) => at).toSorted((a, b) => a - b));
    expect(kills.every(({ at }) => at > 0 && at < 18)).toBe(true);
  }
});
