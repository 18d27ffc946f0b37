/**
 * Places the planned orders and does not give up: a request without an answer, or with one that says "again", is repeated with the
 * order's own id until it is known what became of it. So a killed service costs time and nothing else.
 */
import type { Intent } from "@waybill/auditor";
import type { PlannedOrder } from "./plan.ts";

export interface Load {
  /** Orders whose end is known. */
  answered(): number;
  /** Requests that were repeated. */
  repeated(): number;
  /** What the writers meant and learnt, for the audit. An order that nobody could place until the deadline is unknown. */
  run(): Promise<readonly Intent[]>;
}

export interface LoadOptions {
  readonly orders: readonly PlannedOrder[];
  /** The order service. */
  readonly url: string;
  readonly concurrency: number;
  /** What the orders' messages are appended to. */
  readonly topic: string;
  /** How many orders may have been begun by now. Others wait. */
  readonly mayBegin: () => number;
  /** Ends all attempts. */
  readonly signal: AbortSignal;
}

const requestDeadlineMs = 5_000;
const repeatAfterMs = 50;
const lookEveryMs = 5;

export function createLoad({ orders, url, concurrency, topic, mayBegin, signal }: LoadOptions): Load {
  const intents: Intent[] = [];
  let next = 0;
  let repeated = 0;

  const place = async (order: PlannedOrder): Promise<Intent["outcome"]> => {
    const { isRolledBack: _, ...body } = order;
    while (!signal.aborted) {
      const status = await post(`${url}/orders`, body, signal);
      if (status === 201 || status === 200) return "committed";
      if (status === 402) return "rolledBack";
      if (status !== null && status < 500) throw new Error(`The order service answered ${status} to an order of the plan.`);
      repeated += 1;
      await new Promise((resolve) => setTimeout(resolve, repeatAfterMs));
    }
    return "unknown";
  };

  const work = async (): Promise<void> => {
    for (let index = next++; index < orders.length; index = next++) {
      while (index >= mayBegin() && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      const order = orders[index] as PlannedOrder;
      const outcome = await place(order);
      intents.push({ messageId: order.orderId, topic, key: order.customerId, outcome });
    }
  };

  return {
    answered: () => intents.length,
    repeated: () => repeated,
    async run() {
      await Promise.all(Array.from({ length: concurrency }, work));
      return intents;
    },
  };
}

/** The status of the answer; null if there was none. */
async function post(url: string, body: object, signal: AbortSignal): Promise<number | null> {
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(requestDeadlineMs)]),
    });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return null;
  }
}
