import { namespace, tableOf } from "@waybill/sql";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hasId, rangesFromIds } from "../../id-ranges.ts";
import type { IdRange } from "../../ledger.ts";
import { holesMax } from "../hole-proof.ts";
import { fenceIds } from "./fence-ids.ts";
import { idCondition } from "./id-condition.ts";
import { readWithHoles } from "./read-with-holes.ts";

const outbox = tableOf(namespace("mysql"), "outbox");
const idMax = 2n ** 63n - 1n;
const anyIds = fc
  .uniqueArray(fc.bigInt({ min: 1n, max: idMax }), { minLength: 1, maxLength: 60 })
  .map((ids) => ids.toSorted((a, b) => (a < b ? -1 : 1)));
const nearIds = fc
  .uniqueArray(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 60 })
  .map((ids) => ids.toSorted((a, b) => a - b).map(BigInt));

/** What a condition means, read by a grammar of its own: anything else in it fails. */
function meaningOf(condition: string): (id: bigint) => boolean {
  const arms = condition.split(" or ").map((arm) => {
    const [, above, equal, low, high] = /^id (?:> (\d+)|= (\d+)|between (\d+) and (\d+))$/.exec(arm) ?? expect.fail(`no arm: ${arm}`);
    if (above !== undefined) return (id: bigint) => id > BigInt(above);
    if (equal !== undefined) return (id: bigint) => id === BigInt(equal);
    return (id: bigint) => id >= BigInt(low as string) && id <= BigInt(high as string);
  });
  return (id) => arms.some((holds) => holds(id));
}

describe("a condition on ids", () => {
  it("means the ranges and what lies above, whatever they are, and is made of numbers only", () => {
    fc.assert(
      fc.property(fc.oneof(anyIds, nearIds), fc.boolean(), (ids, isBounded) => {
        const ranges = rangesFromIds(ids);
        const last = isBounded ? null : (ids.at(-1) as bigint);
        const holds = meaningOf(idCondition(last, ranges));
        for (const near of ids.flatMap((id) => [id - 1n, id, id + 1n])) {
          expect(holds(near)).toBe(hasId(ranges, near) || (last !== null && near > last));
        }
      }),
    );
  });

  it("what lies above comes first: each row found is compared from the left", () => {
    expect(idCondition(9n, rangesFromIds([1n, 3n, 4n]))).toBe("id > 9 or id = 1 or id between 3 and 4");
  });

  it("a condition of nothing is a mistake", () => {
    expect(() => idCondition(null, [])).toThrow();
  });

  it("a read of as many holes as there may be fits a packet well", () => {
    const holes = Array.from({ length: holesMax }, (_, index): IdRange => {
      const low = idMax - BigInt(4 * (holesMax - index));
      return { low, high: low + 1n };
    });
    expect(readWithHoles(outbox, idMax - 1n, holes, 5_000).length).toBeLessThan(700_000);
  });

  it("a number that is none does not get into a statement", () => {
    expect(() => readWithHoles(outbox, 1n, [], 1.5)).toThrow(RangeError);
    expect(() => readWithHoles(outbox, 1n, [], Number.NaN)).toThrow(RangeError);
  });
});

it("a fence has a row without type and topic for every id of its ranges, and for no other", () => {
  fc.assert(
    fc.property(nearIds, (ids) => {
      const rows = [...fenceIds(outbox, rangesFromIds(ids)).matchAll(/\((\d+),'',''\)/g)].map((match) => BigInt(match[1] as string));
      expect(rows).toEqual(ids);
    }),
  );
});
