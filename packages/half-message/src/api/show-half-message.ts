import type { Statements } from "@waybill/sql";
import { type HalfMessageState, isDecided, type Standing } from "../decision.ts";
import type { DeliveryStore, DeliveryView } from "../delivery-store.ts";
import type { HalfMessageStore } from "../store.ts";
import { isoOf } from "../to-standing.ts";
import { problem } from "./problem.ts";
import type { Reply } from "./route.ts";

export interface ShownFrom {
  readonly database: Statements;
  readonly store: HalfMessageStore;
  readonly deliveries: DeliveryStore;
}

/** All that is known of a half message but its payloads. */
export async function showHalfMessage({ database, store, deliveries }: ShownFrom, producer: string, id: string): Promise<Reply> {
  const standing = await store.read(database, producer, id);
  if (standing === null) throw problem("unknown_half_message", { producer, id });
  const isCommitted = standing.state === "committed";
  const views = isCommitted ? await deliveries.list(database, producer, id) : [];
  const log = await store.readLog(database, producer, id);
  const blockedBy = isCommitted && standing.orderKey !== null ? await store.findBlocker(database, producer, id) : null;
  const body = { ...listedStanding(standing), progress: isCommitted ? progressOf(views) : null, blockedBy, deliveries: views, log };
  return { status: 200, body };
}

/** A half message in a list. */
export function listedStanding(standing: Standing): Readonly<Record<string, unknown>> {
  const { producer, id, state, version, decidedBy, checksAnswered, checksUnanswered, lastCheck, lastCheckAtMs } = standing;
  return {
    producer,
    id,
    state,
    version,
    barrier: standing.barrier,
    preparedAt: isoOf(standing.preparedAtMs),
    nextCheckAt: timeOf(standing.checkAtMs),
    suspendAt: timeOf(standing.suspendAtMs),
    decidedAt: timeOf(standing.decidedAtMs),
    decidedBy,
    checks: { answered: checksAnswered, unanswered: checksUnanswered, last: lastCheck, lastAt: timeOf(lastCheckAtMs) },
  };
}

function progressOf(views: readonly DeliveryView[]): "delivering" | "done" | "has_dead" {
  if (views.some(({ state }) => state === "dead")) return "has_dead";
  return views.every(({ state }) => state === "acked") ? "done" : "delivering";
}

/** The state that a list is asked for; null: any. */
export function readState(query: URLSearchParams): HalfMessageState | null {
  const state = query.get("state");
  if (state === null || state === "prepared" || state === "suspended" || isDecided(state as HalfMessageState))
    return state as HalfMessageState | null;
  throw problem("malformed_request", { errors: [{ field: "state", why: "must be prepared, suspended, committed or rolled_back" }] });
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : isoOf(ms);
}
