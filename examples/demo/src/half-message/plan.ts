/** Everything that chance decides about a run with half messages, decided before it starts: one seed, one plan. */
import { seededRandom } from "@waybill/testing";
import type { PlannedRequest } from "../load.ts";
import { uuidOf } from "../plan.ts";

export interface PlannedPayment {
  readonly paymentId: string;
  readonly orderId: string;
  readonly customerId: string;
  readonly cents: number;
  /** It asks for more than the card's limit, so that its transaction rolls back after the message was prepared. */
  readonly isRefused: boolean;
}

/** What happens to whom, and in the middle of what. */
export type FaultKind =
  /** The message is stored, and nothing else has happened: the check-back must roll it back. */
  | "payment service, after a prepare"
  /** COMMIT is done and nobody knows: the check-back must commit it. */
  | "payment service, before its report"
  /** The same, and it dies again when it answers the check-back: the next one must read the same. */
  | "payment service, before its report and at the check-back"
  /** The decision is under way, or made and not answered: the report is repeated, to the other replica. */
  | "half-message service, while it decides"
  | "half-message service, after a decision"
  /** The effect is there, and whether its ack is noted nobody knows. */
  | "half-message service, at an ack"
  /** A delivery is in its hands. */
  | "order service, at a message"
  /** The effect is there and its ack is not: it comes again, and must not take effect again. */
  | "order service, before its ack"
  /** The service's database loses what it had acknowledged, as in a failover: the commit must carry the message. */
  | "prepare lost";

export interface PlannedFault {
  readonly kind: FaultKind;
  /** How many payments are answered when it is due. */
  readonly at: number;
}

export interface PaymentPlan {
  readonly payments: readonly PlannedPayment[];
  /** In the order of `at`; all but the lost prepares are kills, one of them two. */
  readonly faults: readonly PlannedFault[];
}

/** The limit that the payment service gives a new card. */
export const limitCents = 100_000_000;

const paymentsPerCustomer = 12;
const kinds: readonly FaultKind[] = [
  "payment service, after a prepare",
  "payment service, after a prepare",
  "payment service, before its report",
  "payment service, before its report",
  "payment service, before its report and at the check-back",
  "half-message service, while it decides",
  "half-message service, after a decision",
  "half-message service, at an ack",
  "order service, at a message",
  "order service, before its ack",
  "prepare lost",
  "prepare lost",
  "prepare lost",
];
/** Faults end here, so that there are payments left to be in the middle of. */
const faultsUntil = 0.88;

export function createPaymentPlan(seed: number, payments: number): PaymentPlan {
  const random = seededRandom(seed);
  const below = (end: number): number => Math.floor(random.fraction() * end);
  const customers = Math.max(3, Math.ceil(payments / paymentsPerCustomer));
  const planned: PlannedPayment[] = [];
  let refusedInTen = 0;
  for (let index = 0; index < payments; index += 1) {
    if (index % 10 === 0) refusedInTen = below(10);
    // Of a last, incomplete ten nothing is refused: one in ten, rounded down.
    const isRefused = index % 10 === refusedInTen && index - (index % 10) + 10 <= payments;
    planned.push({
      paymentId: uuidOf(below),
      orderId: uuidOf(below),
      customerId: `customer-${below(customers) + 1}`,
      cents: isRefused ? limitCents * 2 : 100 + below(5_000),
      isRefused,
    });
  }

  const order = [...kinds];
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = below(last + 1);
    [order[last], order[other]] = [order[other] as FaultKind, order[last] as FaultKind];
  }
  const step = (payments * faultsUntil) / order.length;
  const faults = order.map((kind, index) => ({ kind, at: Math.floor(step * (index + random.fraction())) }));
  return { payments: planned, faults };
}

/** How the payment service is asked for it. */
export function paymentRequest(payment: PlannedPayment): PlannedRequest {
  const { isRefused: _, ...body } = payment;
  return { id: body.paymentId, key: body.customerId, body };
}

/** The order that it pays for, as the order service is asked for it. */
export function orderRequest({ orderId, customerId, cents, isRefused }: PlannedPayment): PlannedRequest {
  // What the card refuses, the customer's credit at the order service would, too.
  return { id: orderId, key: customerId, body: { orderId, customerId, sku: "article", quantity: 1, totalCents: isRefused ? 0 : cents } };
}
