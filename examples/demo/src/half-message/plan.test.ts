import { expect, test } from "vitest";
import { createPaymentPlan } from "./plan.ts";

test("one seed, one plan", () => {
  expect(createPaymentPlan(7, 200)).toEqual(createPaymentPlan(7, 200));
  expect(createPaymentPlan(8, 200)).not.toEqual(createPaymentPlan(7, 200));
});

test("one payment in ten is refused, kills and three losses lie in order, with payments left after the last", () => {
  for (let seed = 0; seed < 50; seed += 1) {
    const { payments, faults } = createPaymentPlan(seed, 200);
    expect(payments.filter(({ isRefused }) => isRefused)).toHaveLength(20);
    expect(new Set(payments.map(({ paymentId }) => paymentId)).size).toBe(200);
    expect(faults.filter(({ kind }) => kind === "prepare lost")).toHaveLength(3);
    expect(faults).toHaveLength(13);
    expect(faults.map(({ at }) => at)).toEqual(faults.map(({ at }) => at).toSorted((a, b) => a - b));
    expect(faults.at(-1)?.at).toBeLessThan(180);
  }
});
