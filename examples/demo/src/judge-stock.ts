/** The business's own view of a run: stock, orders and credit must tell one story. Pure. */

export interface StockFacts {
  /** What each customer had at first. */
  readonly creditCents: number;
  readonly stock: readonly { readonly sku: string; readonly onHand: number; readonly reserved: number }[];
  /** In the order in which they were decided. */
  readonly reservations: readonly {
    readonly orderId: string;
    readonly sku: string;
    readonly quantity: number;
    readonly isReserved: boolean;
  }[];
  readonly orders: readonly {
    readonly orderId: string;
    readonly customerId: string;
    readonly sku: string;
    readonly quantity: number;
    readonly totalCents: number;
    readonly status: string;
  }[];
  readonly customers: readonly { readonly customerId: string; readonly creditCents: number }[];
}

/** What is wrong, in words; empty if all is as expected. */
export function judgeStock(facts: StockFacts): readonly string[] {
  return [...judgeReservations(facts), ...judgeOrders(facts), ...judgeCredit(facts)];
}

/**
 * Reserved is what the reservations add up to, and each decision was right when it was made. Reservations of one article are numbered
 * in the order in which they held its row, so that they can be gone through again.
 */
function judgeReservations({ stock, reservations }: StockFacts): string[] {
  const problems: string[] = [];
  const onHand = new Map(stock.map((article) => [article.sku, article.onHand]));
  const reserved = new Map<string, number>();
  for (const { orderId, sku, quantity, isReserved } of reservations) {
    const before = reserved.get(sku) ?? 0;
    const isEnough = (onHand.get(sku) ?? 0) - before >= quantity;
    if (isEnough !== isReserved)
      problems.push(`order ${orderId} was ${isReserved ? "reserved without" : "refused in spite of"} enough stock`);
    if (isReserved) reserved.set(sku, before + quantity);
  }
  for (const article of stock) {
    const expected = reserved.get(article.sku) ?? 0;
    if (article.reserved !== expected) problems.push(`${article.sku}: ${article.reserved} reserved, ${expected} expected`);
  }
  return problems;
}

/** Each order was decided once, about what it ordered, and its state says how. */
function judgeOrders({ orders, reservations }: StockFacts): string[] {
  const problems: string[] = [];
  const decided = new Map<string, StockFacts["reservations"][number]>();
  for (const reservation of reservations) {
    if (decided.has(reservation.orderId)) problems.push(`order ${reservation.orderId} was decided twice`);
    decided.set(reservation.orderId, reservation);
  }
  for (const { orderId, sku, quantity, status } of orders) {
    const reservation = decided.get(orderId);
    decided.delete(orderId);
    const expected = reservation === undefined ? "pending" : reservation.isReserved ? "confirmed" : "rejected";
    if (reservation === undefined) problems.push(`order ${orderId} was not decided`);
    else if (reservation.sku !== sku || reservation.quantity !== quantity) problems.push(`order ${orderId} was decided as another order`);
    if (status !== expected) problems.push(`order ${orderId} is ${status}, ${expected} expected`);
  }
  for (const orderId of decided.keys()) problems.push(`order ${orderId} was decided and does not exist`);
  return problems;
}

/** Credit is what was there at first, less what was ordered and not given back. */
function judgeCredit({ customers, orders, creditCents }: StockFacts): string[] {
  const spent = new Map<string, number>();
  for (const { customerId, totalCents, status } of orders) {
    if (status !== "rejected") spent.set(customerId, (spent.get(customerId) ?? 0) + totalCents);
  }
  return customers.flatMap((customer) => {
    const expected = creditCents - (spent.get(customer.customerId) ?? 0);
    return customer.creditCents === expected ? [] : [`${customer.customerId}: credit ${customer.creditCents}, ${expected} expected`];
  });
}
