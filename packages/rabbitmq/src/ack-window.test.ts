import { expect, test } from "vitest";
import { createAckWindow } from "./ack-window.ts";

/** A window over tags 1 to `count`, and its acks as text: `3+` covers everything up to 3. */
function windowOf(count: number) {
  const window = createAckWindow<number>();
  for (let tag = 1; tag <= count; tag++) window.add(tag, tag);
  const settle = (...tags: readonly number[]): string => {
    for (const tag of tags) window.settle(tag);
    return window
      .take()
      .map(({ delivery, allUpTo }) => `${delivery}${allUpTo ? "+" : ""}`)
      .join(" ");
  };
  return { window, settle };
}

test("an unbroken run from the first on is acked at once, what lies beyond a gap by itself", () => {
  const { window, settle } = windowOf(6);
  expect(settle(2, 1, 3, 5)).toBe("3+ 5");
  expect([window.unsettled, window.oldest]).toEqual([2, 4]);
  expect(settle(4)).toBe("4");
  expect(settle(6)).toBe("6");
  expect([window.unsettled, window.oldest]).toEqual([0, null]);
});

test("no tag is acked twice: a run that ends in what was acked before names the last that was not", () => {
  const { settle } = windowOf(5);
  expect(settle(2, 3)).toBe("2 3");
  expect(settle(1)).toBe("1");
  expect(settle(4, 5)).toBe("5+");
  const other = windowOf(5);
  expect(other.settle(4)).toBe("4");
  expect(other.settle(1, 2, 3)).toBe("3+");
  expect(other.settle(5)).toBe("5");
});

test("nothing is kept of what was acked, however long an earlier one takes", () => {
  const { window, settle } = windowOf(1_000);
  for (let tag = 2; tag <= 1_000; tag++) expect(settle(tag)).toBe(String(tag));
  expect([window.size, window.unsettled, window.oldest]).toEqual([1, 1, 1]);
  expect(settle(1)).toBe("1");
  expect(window.size).toBe(0);
});

test("what is settled twice, or was never there, acks nothing", () => {
  const { settle } = windowOf(2);
  expect(settle(1)).toBe("1");
  expect(settle(1, 9)).toBe("");
});

test("whatever the order of settling, every tag is covered once and nothing unsettled ever is", () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  for (let round = 0; round < 60; round++) {
    const window = createAckWindow<number>();
    const open: number[] = [];
    const unacked = new Set<number>();
    let tag = 0;
    const settled = new Set<number>();
    while (tag < 40 || open.length > 0) {
      for (let n = random(4); n > 0 && tag < 40; n--) {
        tag += 1;
        window.add(tag, tag);
        open.push(tag);
        unacked.add(tag);
      }
      for (let n = random(4); n > 0 && open.length > 0; n--) {
        const [one] = open.splice(random(open.length), 1);
        window.settle(one as number);
        settled.add(one as number);
      }
      if (random(2) === 0) continue;
      for (const { delivery, allUpTo } of window.take()) {
        expect(unacked.has(delivery)).toBe(true); // the broker closes the channel otherwise
        for (const covered of [...unacked].filter((one) => one === delivery || (allUpTo && one < delivery))) {
          expect(settled.has(covered)).toBe(true);
          unacked.delete(covered);
        }
      }
    }
    window.take().forEach(({ delivery, allUpTo }) => {
      for (const covered of [...unacked].filter((one) => one === delivery || (allUpTo && one < delivery))) unacked.delete(covered);
    });
    expect(unacked.size).toBe(0);
  }
});
