/**
 * Everything that chance decides about a run, decided before it starts: one seed, one plan.
 */
import { seededRandom } from "@waybill/testing";
import type { PlannedRequest } from "./load.ts";

export interface PlannedOrder {
  readonly orderId: string;
  readonly customerId: string;
  readonly sku: string;
  readonly quantity: number;
  readonly totalCents: number;
  /** It asks for more than the customer's credit, so that its transaction fails after the message was appended. */
  readonly isRolledBack: boolean;
}

export type Target = "order service" | "order relay" | "inventory service" | "inventory relay";

export interface PlannedKill {
  readonly target: Target;
  /** How many orders are placed when it happens. */
  readonly at: number;
}

export interface Plan {
  readonly orders: readonly PlannedOrder[];
  /** What is there of each article: less than is ordered, so that some orders are refused. */
  readonly stock: ReadonlyMap<string, number>;
  /** In the order of `at`: a relay three times, each service once. */
  readonly kills: readonly PlannedKill[];
}

/** The credit that the order service gives a new customer. */
export const creditCents = 100_000_000;

const ordersPerCustomer = 25;
const skus = 8;
const victims: readonly Target[] = ["order relay", "order service", "inventory relay", "inventory service", "order relay"];

export function createPlan(seed: number, orders: number): Plan {
  const random = seededRandom(seed);
  const below = (end: number): number => Math.floor(random.fraction() * end);
  const customers = Math.max(3, Math.ceil(orders / ordersPerCustomer));

  const planned: PlannedOrder[] = [];
  const demand = new Map<string, number>();
  let rolledBackInTen = 0;
  for (let index = 0; index < orders; index += 1) {
    if (index % 10 === 0) rolledBackInTen = below(10);
    // Of a last, incomplete ten nothing is rolled back: one in ten, rounded down.
    const isRolledBack = index % 10 === rolledBackInTen && index - (index % 10) + 10 <= orders;
    const sku = `article-${below(skus) + 1}`;
    const quantity = below(3) + 1;
    if (!isRolledBack) demand.set(sku, (demand.get(sku) ?? 0) + quantity);
    planned.push({
      orderId: uuidOf(below),
      customerId: `customer-${below(customers) + 1}`,
      sku,
      quantity,
      totalCents: isRolledBack ? creditCents * 2 : 100 + below(5_000),
      isRolledBack,
    });
  }

  const stock = new Map(
    Array.from({ length: skus }, (_, index) => `article-${index + 1}`).map((sku) => [sku, Math.floor((demand.get(sku) ?? 0) * 0.9)]),
  );
  const kills = victims.map((target, index) => ({ target, at: Math.floor(orders * (0.06 + index * 0.17 + random.fraction() * 0.1)) }));
  return { orders: planned, stock, kills };
}

/** How the order service is asked for it. */
export function requestOf(order: PlannedOrder): PlannedRequest {
  const { isRolledBack: _, ...body } = order;
  return { id: body.orderId, key: body.customerId, body };
}

/** A UUID of version 4 by the plan's own chance: `below` answers a whole number under its argument. */
export function uuidOf(below: (end: number) => number): string {
  const hex = Array.from({ length: 32 }, () => below(16).toString(16));
  hex[12] = "4";
  hex[16] = (8 + below(4)).toString(16);
  const text = hex.join("");
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-");
}
