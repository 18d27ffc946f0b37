/**
 * The verdict on a run with half messages, from what is in the three databases and what the recorder wrote down. The processes under test are not asked.
 *
 *     payments (what is true) ──▶ half messages (what was decided) ──▶ recorder (what arrived) ──▶ the order service's tables (what took effect)
 */
import {
  audit,
  type Intent,
  type Received,
  readBusinessRows,
  readEffects,
  readHalfMessages,
  readInbox,
  type Verdict,
} from "@waybill/auditor";
import { query } from "../query.ts";
import type { Happened } from "./faults.ts";
import { judgeDecisions, judgePayments, type PaymentFacts } from "./judge-payments.ts";
import { limitCents } from "./plan.ts";

export interface JudgeOptions {
  readonly paymentUrl: string;
  readonly serviceUrl: string;
  readonly orderUrl: string;
  readonly intents: readonly Intent[];
  readonly received: readonly Received[];
  readonly happened: Happened;
}

/** How half messages were decided, and which were not. */
export interface Decisions {
  readonly committed: number;
  readonly rolledBack: number;
  /** Of them, by check-back. */
  readonly committedByCheck: number;
  readonly rolledBackByCheck: number;
  /** Of the committed: the prepare was lost, and the commit brought the message. */
  readonly carried: number;
  readonly undecided: number;
  readonly suspended: number;
}

export interface Judgement {
  readonly verdict: Verdict;
  readonly decisions: Decisions;
  /** What is wrong about decisions, payments, cards and orders, in words. */
  readonly problems: readonly string[];
}

/** Reads the databases after everything was stopped. */
export async function judge({ paymentUrl, serviceUrl, orderUrl, intents, received, happened }: JudgeOptions): Promise<Judgement> {
  const { halfMessages, ...service } = await readHalfMessages({ url: serviceUrl }, "order");
  const inbox = await readInbox({ url: orderUrl });
  const verdict = audit(
    {
      intents,
      businessRows: await readBusinessRows({ url: paymentUrl }, { sql: "select cast(payment_id as char(36)) as message_id from payment" }),
      ledger: service.ledger,
      subscriptions: service.subscriptions,
      received,
      deadLetters: [...service.deadLetters, ...inbox.deadLetters],
      consumers: [{ consumer: "order" }],
      effects: await readEffects({ url: orderUrl }, "order", { sql: "select message_id from order_payment order by payment_no" }),
      handled: inbox.handled,
      faults: happened.faults,
    },
    { effort: { rolledBackMin: 1, faultsMin: happened.faults.length } },
  );

  const count = (state: string, by: (decidedBy: string | null, id: string) => boolean = () => true): number =>
    halfMessages.filter((half) => half.state === state && by(half.decidedBy, half.id)).length;
  const byCheck = (decidedBy: string | null): boolean => decidedBy?.startsWith("check:") === true;
  const lost = new Set(happened.lostPrepares);
  return {
    verdict,
    decisions: {
      committed: count("committed"),
      rolledBack: count("rolled_back"),
      committedByCheck: count("committed", byCheck),
      rolledBackByCheck: count("rolled_back", byCheck),
      carried: count("committed", (_, id) => lost.has(id)),
      undecided: count("prepared"),
      suspended: count("suspended"),
    },
    problems: [...judgeDecisions(halfMessages), ...judgePayments(await readFacts(paymentUrl, orderUrl))],
  };
}

async function readFacts(paymentUrl: string, orderUrl: string): Promise<PaymentFacts> {
  type Payment = PaymentFacts["payments"][number];
  const payments = await query<Omit<Payment, "cents"> & { cents: string }>(
    paymentUrl,
    `select payment_id as "paymentId", order_id as "orderId", customer_id as "customerId", cents from payment`,
  );
  const cards = await query<{ customerId: string; limitCents: string }>(
    paymentUrl,
    `select customer_id as "customerId", limit_cents as "limitCents" from card`,
  );
  const orders = await query<{ orderId: string; paidCents: string }>(
    orderUrl,
    `select order_id as "orderId", paid_cents as "paidCents" from customer_order`,
  );
  return {
    limitCents,
    payments: payments.map((each) => ({ ...each, cents: Number(each.cents) })),
    cards: cards.map((each) => ({ ...each, limitCents: Number(each.limitCents) })),
    orders: orders.map((each) => ({ ...each, paidCents: Number(each.paidCents) })),
  };
}
