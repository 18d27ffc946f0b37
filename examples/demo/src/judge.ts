/**
 * The verdict on a run, from what is in the databases and what the recorders wrote down. The processes under test are not asked.
 *
 * Two ledgers, two histories: orders on their way to the inventory service, and its answers on their way back.
 */
import {
  audit,
  combineVerdicts,
  type Fault,
  type History,
  type Intent,
  type Received,
  readBusinessRows,
  readEffects,
  readInbox,
  readLedger,
  type Verdict,
} from "@waybill/auditor";
import { judgeStock, type StockFacts } from "./judge-stock.ts";
import { creditCents } from "./plan.ts";
import { query } from "./query.ts";

export interface JudgeOptions {
  readonly orderUrl: string;
  readonly inventoryUrl: string;
  readonly intents: readonly Intent[];
  readonly ordersReceived: readonly Received[];
  readonly answersReceived: readonly Received[];
  readonly faults: readonly Fault[];
}

export interface Judgement {
  readonly orders: Verdict;
  readonly answers: Verdict;
  readonly both: Verdict;
  /** What is wrong about stock, orders' states and customers' credit, in words. */
  readonly stockProblems: readonly string[];
}

/** Reads both databases after everything was stopped. */
export async function judge(options: JudgeOptions): Promise<Judgement> {
  const { orderUrl, inventoryUrl, intents, faults } = options;
  const order = { url: orderUrl };
  const inventory = { url: inventoryUrl };

  const ordersHistory: History = await historyOf(
    {
      from: order,
      to: inventory,
      consumer: "inventory",
      effects: "select message_id from reservation order by reservation_id",
      received: options.ordersReceived,
      faults: faults.filter(({ kind }) => !kind.endsWith("inventory relay")),
    },
    {
      intents: await withPlaces(orderUrl, intents),
      businessRows: await readBusinessRows(order, { sql: "select cast(order_id as char(36)) as message_id from customer_order" }),
    },
  );
  const answersHistory: History = await historyOf(
    {
      from: inventory,
      to: order,
      consumer: "order",
      effects: "select message_id from order_change order by change_id",
      received: options.answersReceived,
      faults: faults.filter(({ kind }) => !kind.endsWith("order relay")),
    },
    // Its writers keep no journal: what they meant is what stands in the ledger.
    { intents: [] },
  );

  const verdicts = { orders: audit(ordersHistory), answers: audit(answersHistory) };
  return {
    ...verdicts,
    both: combineVerdicts([verdicts.orders, verdicts.answers]),
    stockProblems: judgeStock(await readStockFacts(orderUrl, inventoryUrl)),
  };
}

interface Direction {
  readonly from: { readonly url: string };
  readonly to: { readonly url: string };
  readonly consumer: string;
  readonly effects: string;
  readonly received: readonly Received[];
  readonly faults: readonly Fault[];
}

async function historyOf(direction: Direction, writers: Pick<History, "intents" | "businessRows">): Promise<History> {
  const { from, to, consumer, received, faults } = direction;
  const ledger = await readLedger(from);
  const inbox = await readInbox(to);
  const subscription = ledger.subscriptions[0]?.subscription ?? "none";
  return {
    ...writers,
    ledger: ledger.ledger,
    subscriptions: ledger.subscriptions,
    received: received.map((record) => ({ ...record, subscription })),
    deadLetters: [...ledger.deadLetters, ...inbox.deadLetters],
    consumers: [{ consumer }],
    effects: await readEffects(to, consumer, { sql: direction.effects }),
    handled: inbox.handled,
    faults,
  };
}

/** Committed orders have their place among their customer's, taken under the lock of the customer's row. */
async function withPlaces(orderUrl: string, intents: readonly Intent[]): Promise<readonly Intent[]> {
  const rows = await query<{ order_id: string; place: number }>(orderUrl, "select order_id, place from customer_order");
  const places = new Map(rows.map(({ order_id, place }) => [order_id, place]));
  return intents.map((intent) => {
    const order = places.get(intent.messageId);
    return order === undefined ? intent : { ...intent, order };
  });
}

async function readStockFacts(orderUrl: string, inventoryUrl: string): Promise<StockFacts> {
  const reservations = await query<{ orderId: string; sku: string; quantity: number; isReserved: boolean | number }>(
    inventoryUrl,
    `select order_id as "orderId", sku, quantity, is_reserved as "isReserved" from reservation order by reservation_id`,
  );
  const orders = await query<StockFacts["orders"][number] & { totalCents: string }>(
    orderUrl,
    `select order_id as "orderId", customer_id as "customerId", sku, quantity, total_cents as "totalCents", status from customer_order`,
  );
  const customers = await query<{ customerId: string; creditCents: string }>(
    orderUrl,
    `select customer_id as "customerId", credit_cents as "creditCents" from customer`,
  );
  return {
    creditCents,
    stock: await query(inventoryUrl, `select sku, on_hand as "onHand", reserved from stock`),
    reservations: reservations.map((each) => ({ ...each, isReserved: Boolean(each.isReserved) })),
    orders: orders.map((each) => ({ ...each, totalCents: Number(each.totalCents) })),
    customers: customers.map((each) => ({ ...each, creditCents: Number(each.creditCents) })),
  };
}
