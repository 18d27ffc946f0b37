/** The business's own view of a run: payments, cards and orders must tell one story, and no decision may be made twice. Pure. */
import type { HalfMessageState } from "@waybill/auditor";

export interface PaymentFacts {
  /** What each card had at first. */
  readonly limitCents: number;
  readonly payments: readonly {
    readonly paymentId: string;
    readonly orderId: string;
    readonly customerId: string;
    readonly cents: number;
  }[];
  readonly cards: readonly { readonly customerId: string; readonly limitCents: number }[];
  readonly orders: readonly { readonly orderId: string; readonly paidCents: number }[];
}

/** What is wrong, in words; empty if every order has been paid what was taken for it, and every card charged so much. */
export function judgePayments({ limitCents, payments, cards, orders }: PaymentFacts): readonly string[] {
  const takenFor = sums(payments.map(({ orderId, cents }) => [orderId, cents]));
  const takenFrom = sums(payments.map(({ customerId, cents }) => [customerId, cents]));
  const known = new Set(orders.map(({ orderId }) => orderId));
  return [
    ...orders.flatMap(({ orderId, paidCents }) => {
      const taken = takenFor.get(orderId) ?? 0;
      return paidCents === taken ? [] : [`order ${orderId}: ${paidCents} cents paid, ${taken} taken`];
    }),
    ...[...takenFor.keys()].filter((orderId) => !known.has(orderId)).map((orderId) => `order ${orderId} was paid and does not exist`),
    ...cards.flatMap((card) => {
      const expected = limitCents - (takenFrom.get(card.customerId) ?? 0);
      return card.limitCents === expected ? [] : [`${card.customerId}: ${card.limitCents} cents left, ${expected} expected`];
    }),
  ];
}

/** What is wrong, in words; empty if the log has decided each half message once, and none that is undecided. */
export function judgeDecisions(halfMessages: readonly HalfMessageState[]): readonly string[] {
  return halfMessages.flatMap(({ id, state, decisions }) => {
    const expected = state === "committed" || state === "rolled_back" ? 1 : 0;
    return decisions === expected ? [] : [`half message ${id} is ${state}, and was decided ${decisions} times`];
  });
}

function sums(entries: readonly (readonly [name: string, cents: number])[]): ReadonlyMap<string, number> {
  const all = new Map<string, number>();
  for (const [name, cents] of entries) all.set(name, (all.get(name) ?? 0) + cents);
  return all;
}
