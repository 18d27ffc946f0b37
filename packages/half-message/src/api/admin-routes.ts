/** Operators' calls about half messages. Every one that changes something says why, and is in the log of decisions, in the same transaction. */
import { committedValue, type Statements, type Units } from "@waybill/sql";
import type { Alerts } from "../alerts.ts";
import type { Wish } from "../decision.ts";
import type { DeliveryStore } from "../delivery-store.ts";
import type { Metrics } from "../metrics.ts";
import { idProblem } from "../names.ts";
import type { ServiceRules } from "../options.ts";
import type { HalfMessageStore } from "../store.ts";
import type { Writer } from "../writer.ts";
import { complaints, readLimit, readObject, readText, reasonProblem, require } from "./fields.ts";
import { standingOf } from "./half-message-replies.ts";
import { problem } from "./problem.ts";
import type { Call, Reply, Route } from "./route.ts";
import { listedStanding, readState, showHalfMessage } from "./show-half-message.ts";

export interface AdminRoutesOptions {
  readonly rules: ServiceRules;
  readonly database: Statements & Units;
  readonly store: HalfMessageStore;
  readonly deliveries: DeliveryStore;
  readonly writer: Writer;
  readonly alerts: Alerts;
  readonly metrics: Metrics;
}

const base = "/admin/v1/producers/{producer}/half-messages/{id}";

export function adminRoutes({ rules, database, store, deliveries, writer, alerts, metrics }: AdminRoutesOptions): readonly Route[] {
  const change = async (call: Call, wish: Wish): Promise<Reply> => {
    const { producer, id } = keyOf(call);
    const to = complaints();
    const fields = readObject(call.body, "", ["reason"], to);
    require(fields, ["reason"], "", to);
    const reason = readText(fields, "reason", "", to, reasonProblem) ?? null;
    to.throwIfAny({ producer, id });
    const actor = `operator:${call.caller.keyId}`;
    const request = { producer, id, wish, actor, reason, checkNumber: null, body: null };
    const judged = await writer.judge(request, (tx) => call.useNonce(tx));
    const { verdict } = judged;
    if (verdict.kind === "decide") metrics.count("waybill_half_decided_total", { producer, state: verdict.to, by: "operator" });
    if (verdict.kind === "refused" && verdict.log === "conflict") {
      metrics.count("waybill_half_conflicts_total", { producer });
      alerts.raise({ kind: "decision_conflict", subject: `${producer}/${id}`, detail: "An operator wished what it is not." });
    }
    return { status: 200, body: { ...listedStanding(standingOf(judged, producer, id)), changed: verdict.kind !== "stands" } };
  };

  const resume = (call: Call): Promise<Reply> => {
    const suspendAfterMs = rules.producers[call.params.producer ?? ""]?.suspendAfterMs ?? suspendAfterDefaultMs;
    return change(call, { kind: "resume", suspendAfterMs });
  };

  /** Bytes that only a key with the scope for it may see, and whose look is in the log. */
  const reveal = async (call: Call): Promise<Reply> => {
    const { producer, id } = keyOf(call);
    const text = call.params.ordinal ?? "";
    const ordinal = /^[0-9]{1,4}$/.test(text) ? Number(text) : -1;
    const operation = "reveal a payload";
    const actor = `operator:${call.caller.keyId}`;
    const outcome = await database.unitOfWork((tx) => store.revealPayload(tx, { producer, id, ordinal, actor }), { operation });
    const payload = committedValue(operation, outcome);
    if (payload === null) throw problem("unknown_half_message", { producer, id });
    return { status: 200, body: { payloadBase64: Buffer.from(payload).toString("base64") } };
  };

  const common = { port: "admin", scope: "operate", of: null } as const;
  const changing = { ...common, method: "POST", once: true } as const;
  const reading = { ...common, method: "GET", once: false } as const;
  return [
    { ...changing, path: `${base}/resume`, handle: resume },
    { ...changing, path: `${base}/check-now`, handle: (call) => change(call, { kind: "checkNow" }) },
    { ...changing, path: `${base}/force-commit`, handle: (call) => change(call, { kind: "force", to: "committed" }) },
    { ...changing, path: `${base}/force-rollback`, handle: (call) => change(call, { kind: "force", to: "rolled_back" }) },
    {
      ...reading,
      path: base,
      handle(call) {
        const { producer, id } = keyOf(call);
        return showHalfMessage({ database, store, deliveries }, producer, id);
      },
    },
    { ...reading, path: `${base}/payloads/{ordinal}`, scope: "reveal", handle: reveal },
    {
      ...reading,
      path: "/admin/v1/half-messages",
      async handle(call) {
        const producer = call.query.get("producer");
        const limit = readLimit(call.query);
        const after = call.query.get("after");
        const items = await store.list(database, { producer, state: readState(call.query), after, limit });
        const last = items.length === limit ? items.at(-1) : undefined;
        const next = last === undefined ? null : producer === null ? `${last.producer}/${last.id}` : last.id;
        return { status: 200, body: { items: items.map(listedStanding), next } };
      },
    },
  ];
}

/** Of a producer that is not configured any more. */
const suspendAfterDefaultMs = 86_400_000;

function keyOf({ params: { producer = "", id = "" } }: Call): { readonly producer: string; readonly id: string } {
  const broken = idProblem(id);
  if (broken !== null) throw problem("malformed_request", { errors: [{ field: "id", why: `must be ${broken}` }] });
  return { producer, id };
}
