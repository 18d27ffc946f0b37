import { waybillError } from "@waybill/core";
import type { Barrier } from "./barrier.ts";
import type { ServiceClient } from "./service-client.ts";

/** A half message that the service has committed and whose local transaction the producer's database does not know as committed. */
export interface Unreconciled {
  readonly id: string;
  /** `absent`: its row is not there, though it cannot have been purged. `fenced`: the database says that it was rolled back. */
  readonly found: "absent" | "fenced";
  readonly decidedAt: string;
  /** A key, a check, or an operator who forced it. */
  readonly decidedBy: string;
}

export interface Reconciled {
  /** Committed half messages that were looked at. */
  readonly looked: number;
  /** Too old for the barrier to know, or prepared without one. */
  readonly unknown: number;
  readonly unreconciled: readonly Unreconciled[];
}

export interface ReconcileOptions {
  readonly producer: string;
  /** Of the service's admin port, with a key that may operate. */
  readonly client: ServiceClient;
  readonly barrier: Barrier;
  /** Milliseconds since 1970, to tell how old a half message is. An hour more or less does not matter. */
  readonly nowMs: number;
}

const pageSize = 200;
const callDeadlineMs = 10_000;
/** As where a check is answered: clocks of two databases, and the time between BEGIN and prepare. */
const ageSlackMs = 3_600_000;

/**
 * Compares what the service has committed with the barrier: a database that lost a committed transaction in a failover leaves its message out in the
 * world. Changes nothing.
 *
 * @throws WAYBILL_SERVICE_REFUSED; WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_CONFIG_INVALID
 */
export async function reconcile({ producer, client, barrier, nowMs }: ReconcileOptions): Promise<Reconciled> {
  const identity = await barrier.identity();
  const unreconciled: Unreconciled[] = [];
  let looked = 0;
  let unknown = 0;
  for (let after: string | null = ""; after !== null; ) {
    const page: Page = await readPage(client, producer, after);
    const ours = page.items.filter((item) => item.barrier === identity);
    const { fates, horizonAgeMs } = await barrier.look(ours.map(({ id }) => id));
    unknown += page.items.length - ours.length;
    looked += page.items.length;
    for (const { id, preparedAt, decidedAt, decidedBy } of ours) {
      const fate = fates.get(id);
      if (fate === "committed") continue;
      if (fate === undefined && nowMs - Date.parse(preparedAt) + ageSlackMs > horizonAgeMs) unknown += 1;
      else unreconciled.push({ id, found: fate ?? "absent", decidedAt, decidedBy });
    }
    after = page.next;
  }
  return { looked, unknown, unreconciled };
}

interface Item {
  readonly id: string;
  readonly barrier: string | null;
  readonly preparedAt: string;
  readonly decidedAt: string;
  readonly decidedBy: string;
}

interface Page {
  readonly items: readonly Item[];
  readonly next: string | null;
}

async function readPage(client: ServiceClient, producer: string, after: string): Promise<Page> {
  const query = new URLSearchParams({ producer, state: "committed", limit: String(pageSize), ...(after === "" ? {} : { after }) });
  const target = `/admin/v1/half-messages?${query.toString()}`;
  const answer = await client.call({ method: "GET", target, body: null }, callDeadlineMs);
  if (answer.kind === "answered" && answer.status === 200) return answer.body as Page;
  const reason = answer.kind === "answered" ? (answer.code ?? `status ${answer.status}`) : answer.reason;
  const status = answer.kind === "answered" ? answer.status : null;
  throw waybillError("WAYBILL_SERVICE_REFUSED", `The half-message service does not list what it committed (${reason}).`, {
    reason,
    status,
  });
}
