import { describe, expect, it } from "vitest";
import { accountsMax, openingCents } from "./bank.ts";
import { type Balances, judgeBalances, type Move } from "./judge-balances.ts";

const balances = (change: (cents: number, account: number) => number): ReadonlyMap<number, number> =>
  new Map(Array.from({ length: accountsMax }, (_, account) => [account, change(openingCents, account)]));
const move = (account: number, cents: number): Move => ({ messageId: "m1", account, cents });

/** 30 cents went from account 7 to account 8. */
const moved: Balances = {
  source: balances((cents, account) => (account === 7 ? cents - 30 : cents)),
  target: balances((cents, account) => (account === 8 ? cents + 30 : cents)),
  transfers: [move(7, 30)],
  credits: [move(8, 30)],
};

describe("balances", () => {
  it("are right when every transfer arrived once", () => {
    expect(judgeBalances(moved)).toEqual([]);
  });

  it("are wrong when money is missing, was made, or went elsewhere", () => {
    const spoiled: readonly (readonly [Partial<Balances>, string])[] = [
      [{ target: balances((cents) => cents), credits: [] }, "put them nowhere"],
      [{ target: balances((cents, account) => (account === 8 ? cents + 60 : cents)) }, "its credits make"],
      [{ source: balances((cents) => cents) }, "its transfers leave"],
      [{ credits: [move(9, 30)], target: balances((cents, account) => (account === 9 ? cents + 30 : cents)) }, "another account"],
      [{ credits: [move(8, 31)], target: balances((cents, account) => (account === 8 ? cents + 31 : cents)) }, "in all"],
    ];
    for (const [part, word] of spoiled) {
      const problems = judgeBalances({ ...moved, ...part });
      expect(problems.join("\n")).toContain(word);
      expect(problems.every((problem) => problem.startsWith("CO "))).toBe(true);
    }
  });
});
