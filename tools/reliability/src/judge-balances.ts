/** Conservation: no money was made and none was lost, account by account. Pure. */
import { accountsMax, creditedBy, openingCents } from "./bank.ts";

export interface Balances {
  /** Account → cents, as the two databases say. */
  readonly source: ReadonlyMap<number, number>;
  readonly target: ReadonlyMap<number, number>;
  /** Transfer rows of the source and credit rows of the target, in any order. */
  readonly transfers: readonly Move[];
  readonly credits: readonly Move[];
}

/** Cents taken from an account of the source, or put on one of the target. */
export interface Move {
  readonly messageId: string;
  readonly account: number;
  readonly cents: number;
}

const problemsMax = 5;

/** What is wrong, in words, the first few of it; empty if all is as it must be. Nothing may be under way. */
export function judgeBalances({ source, target, transfers, credits }: Balances): readonly string[] {
  const problems: string[] = [];
  const sum = (moves: readonly Move[]): ReadonlyMap<number, number> => {
    const sums = new Map<number, number>();
    for (const { account, cents } of moves) sums.set(account, (sums.get(account) ?? 0) + cents);
    return sums;
  };
  const taken = sum(transfers);
  const put = sum(credits);
  let total = 0;
  for (let account = 0; account < accountsMax; account += 1) {
    const [left = 0, right = 0] = [source.get(account), target.get(account)];
    total += left + right;
    const owed = openingCents - (taken.get(account) ?? 0);
    if (left !== owed) problems.push(`CO account ${account} of the source has ${left} cents and its transfers leave ${owed}`);
    const due = openingCents + (put.get(account) ?? 0);
    if (right !== due) problems.push(`CO account ${account} of the target has ${right} cents and its credits make ${due}`);
  }
  const opening = 2 * accountsMax * openingCents;
  if (total !== opening) problems.push(`CO there are ${total} cents in all and there were ${opening}`);

  const credited = new Map(credits.map((credit) => [credit.messageId, credit]));
  for (const { messageId, account, cents } of transfers) {
    const credit = credited.get(messageId);
    if (credit === undefined) problems.push(`CO ${messageId} took ${cents} cents and put them nowhere`);
    else if (credit.cents !== cents || credit.account !== creditedBy(account))
      problems.push(`CO ${messageId} put another amount, or on another account`);
  }
  return problems.slice(0, problemsMax);
}
