/** Whether the service lives, can work, and what it has counted. */
import { expositionType, newToken } from "@waybill/core";
import type { Statements, Units } from "@waybill/sql";
import type { Metrics } from "../metrics.ts";
import type { ServiceRules } from "../options.ts";
import type { HalfMessageStore } from "../store.ts";
import type { Load } from "./load.ts";
import type { Route } from "./route.ts";

export interface HealthRoutesOptions {
  readonly rules: Pick<ServiceRules, "producers">;
  readonly database: Statements & Units;
  readonly store: HalfMessageStore;
  readonly metrics: Metrics;
  readonly load: Load;
  /** What works by itself; not ready: something that could be done is late. */
  readonly loops: readonly { readonly name: string; isReady(): boolean }[];
}

/** Who asks whether we are ready does not wait for long. */
const writeDeadlineMs = 2_000;

export function healthRoutes({ rules, database, store, metrics, load, loops }: HealthRoutesOptions): readonly Route[] {
  const common = { port: "admin", method: "GET", of: null, once: false } as const;
  const plain = { "content-type": "text/plain" };
  /** Looked at when somebody asks. Without the database the other numbers are told all the same. */
  const lookAtUndecided = async (): Promise<void> => {
    for (const [producer, { undecidedQuota }] of Object.entries(rules.producers)) {
      try {
        metrics.set("waybill_half_undecided", { producer }, await store.countUndecided(database, producer, undecidedQuota * 2));
        const afterMs = await store.nextDeadline(database, producer);
        if (afterMs !== null) metrics.set("waybill_half_deadline_seconds", { producer }, afterMs / 1_000);
        else metrics.forget("waybill_half_deadline_seconds", { producer });
      } catch {
        return;
      }
    }
  };
  return [
    {
      ...common,
      path: "/livez",
      scope: null,
      isOpen: true,
      handle: () => Promise.resolve({ status: 200, body: "alive\n", headers: plain }),
    },
    {
      ...common,
      path: "/readyz",
      scope: null,
      isOpen: true,
      async handle() {
        const late = loops.filter((loop) => !loop.isReady()).map(({ name }) => name);
        const reasons = load.isDraining ? ["draining"] : (await canWrite(store, database)) ? late : ["storage"];
        return { status: reasons.length === 0 ? 200 : 503, body: { ready: reasons.length === 0, reasons } };
      },
    },
    {
      ...common,
      path: "/metrics",
      scope: "metrics",
      async handle() {
        await lookAtUndecided();
        return { status: 200, body: metrics.exposition(), headers: { "content-type": expositionType } };
      },
    },
  ];
}

async function canWrite(store: HalfMessageStore, database: Units): Promise<boolean> {
  try {
    const nonce = { keyId: "readyz", nonce: newToken(), expiresAfterMs: 1_000 };
    const outcome = await database.unitOfWork((tx) => store.useNonce(tx, nonce), { operation: "readiness", deadlineMs: writeDeadlineMs });
    return outcome.kind === "committed";
  } catch {
    return false;
  }
}
