import { manualClock } from "@waybill/testing";
import { expect, test } from "vitest";
import { createQuota, type Quota } from "./quota.ts";

/** Rows that some replicas share. What is stored is there a moment after it was admitted, as over a connection. */
function replicas(quota: number, count: number) {
  const clock = manualClock();
  const table = { rows: 0, most: 0, counted: 0 };
  const quotas = Array.from({ length: count }, () =>
    createQuota({
      clock,
      quotaOf: () => quota,
      async count() {
        table.counted += 1;
        return table.rows;
      },
    }),
  );
  const prepare = async (one: Quota): Promise<boolean> => {
    if (!(await one.admit("p"))) return false;
    for (let step = 0; step < 5; step += 1) await Promise.resolve();
    table.rows += 1;
    table.most = Math.max(table.most, table.rows);
    one.settle("p", true);
    return true;
  };
  const flood = async (each: number): Promise<number> => {
    const stored = await Promise.all(quotas.flatMap((one) => Array.from({ length: each }, () => prepare(one))));
    return stored.filter(Boolean).length;
  };
  return { clock, table, quotas, prepare, flood };
}

test.each([
  [10, 1],
  [10, 2],
  [100, 3],
  [2_000, 3],
])("I6 undecided are at most 1.1 × a quota of %i, however many come to %i replicas at once", async (quota, count) => {
  const { table, flood, clock, quotas } = replicas(quota, count);
  await flood(2 * quota);
  expect(table.most).toBeLessThanOrEqual(1.1 * quota);
  // All are decided, by one of them; the others know of no room, and none of it is given out twice.
  for (; table.rows > 0; table.rows -= 1) quotas[0]?.release("p");
  await flood(2 * quota);
  await clock.advance(5_000);
  await flood(quota);
  expect(table.rows).toBeGreaterThanOrEqual(quota);
  expect(table.most).toBeLessThanOrEqual(1.1 * quota);
});

test("far from its quota a producer's rows are counted now and then, whoever decides them", async () => {
  const { table, quotas, prepare } = replicas(10_000, 1);
  for (let nth = 0; nth < 5_000; nth += 1) {
    await prepare(quotas[0] as Quota);
    table.rows -= 1;
    quotas[0]?.release("p");
  }
  expect(table.counted).toBe(1);
  for (let nth = 0; nth < 5_000; nth += 1) {
    await prepare(quotas[0] as Quota);
    table.rows -= 1;
  }
  expect(table.counted).toBeLessThan(15);
});

test("what was admitted and not stored, and what was decided, makes room at once", async () => {
  const { table, quotas, prepare } = replicas(2, 1);
  const one = quotas[0] as Quota;
  expect([await prepare(one), await prepare(one), await prepare(one)]).toEqual([true, true, false]);
  table.rows -= 1;
  one.release("p");
  expect(await one.admit("p")).toBe(true);
  one.settle("p", false);
  expect([await prepare(one), await prepare(one)]).toEqual([true, false]);
});
