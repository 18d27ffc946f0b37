/** Prepare, commit and roll back, whether a call brings one of them or many. */
import type { Statements } from "@waybill/sql";
import type { Alerts } from "../alerts.ts";
import type { DatabaseClock } from "../database-clock.ts";
import type { Wish } from "../decision.ts";
import type { DeliveryStore } from "../delivery-store.ts";
import { fingerprintOf } from "../fingerprint.ts";
import type { Metrics } from "../metrics.ts";
import { madeAtMs } from "../names.ts";
import type { ServiceRules } from "../options.ts";
import type { Quota } from "../quota.ts";
import type { RateLimit } from "../rate-limit.ts";
import type { HalfMessageStore, Judged, NewHalfMessage, Prepared } from "../store.ts";
import type { Writer } from "../writer.ts";
import { type HalfMessageBody, readHalfMessage, toNewHalfMessage } from "./half-message-body.ts";
import { decidedReply, preparedReply } from "./half-message-replies.ts";
import { ApiProblem, problem } from "./problem.ts";
import type { Caller, Reply } from "./route.ts";

export interface HalfMessageOperationsOptions {
  readonly rules: ServiceRules;
  readonly database: Statements;
  readonly store: HalfMessageStore;
  readonly deliveries: DeliveryStore;
  readonly writer: Writer;
  readonly quota: Quota;
  readonly prepareRate: RateLimit;
  readonly databaseClock: DatabaseClock;
  readonly alerts: Alerts;
  readonly metrics: Metrics;
}

/** Who asks what of which half message. */
export interface Ask {
  readonly producer: string;
  readonly id: string;
  readonly caller: Caller;
  readonly traceparent: string | null;
}

/** `value`: a half message's body as it came; `at`: where in the call it stood. All reject with an ApiProblem, or with what the database said. */
export interface HalfMessageOperations {
  prepare(ask: Ask, value: unknown, at: string): Promise<Reply>;
  /** Without a value it decides only what is there. */
  commit(ask: Ask, value: unknown, at: string): Promise<Reply>;
  rollback(ask: Ask, reason: string | null): Promise<Reply>;
}

/** Refusals of storing, which say nothing of what is stored. */
const speaksAgainstStoring: ReadonlySet<string> = new Set(["topic_not_routed", "receiver_not_registered", "id_expired"]);

export function halfMessageOperations(options: HalfMessageOperationsOptions): HalfMessageOperations {
  const { rules, database, store, deliveries, writer, quota, prepareRate, databaseClock, alerts, metrics } = options;
  const limits = { messagesMax: rules.maxMessages, payloadBytesMax: rules.maxPayloadBytes };

  /** What speaks against storing a half message that is not there yet. */
  const resolve = async (ask: Ask, body: HalfMessageBody): Promise<NewHalfMessage> => {
    const producer = rules.producers[ask.producer];
    const checkAfterMs = producer?.checkAfterMs ?? 10_000;
    const suspendAfterMs = producer?.suspendAfterMs ?? 86_400_000;
    const routing = { routes: rules.routes, checkAfterMs, suspendAfterMs };
    const named = { producer: ask.producer, id: ask.id, keyId: ask.caller.keyId, traceparent: ask.traceparent };
    const halfMessage = toNewHalfMessage(body, named, routing);
    const receivers = [...new Set(body.messages.flatMap((message) => message.receivers))];
    const known = receivers.length === 0 ? new Set() : await deliveries.findReceivers(database, receivers);
    const missing = receivers.filter((receiver) => !known.has(receiver));
    if (missing.length > 0) {
      const errors = missing.map((receiver) => ({ field: "receivers", why: `${receiver} is not registered` }));
      throw problem("receiver_not_registered", { producer: ask.producer, id: ask.id, errors });
    }
    refuseOldId(ask);
    return halfMessage;
  };

  /** An id that tells that its tombstone may be gone creates nothing: it may have been decided. */
  const refuseOldId = ({ producer, id }: Ask): void => {
    const madeAt = madeAtMs(id);
    if (madeAt !== null && databaseClock.nowMs() - madeAt > rules.tombstoneMs) throw problem("id_expired", { producer, id });
  };

  const prepare = async (ask: Ask, value: unknown, at: string): Promise<Reply> => {
    const waitMs = prepareRate.take(ask.caller.keyId);
    if (waitMs > 0) throw problem("rate_limited", { retryAfterMs: waitMs });
    const body = readHalfMessage(value, at, ask.id, limits);
    let halfMessage: NewHalfMessage;
    try {
      halfMessage = await resolve(ask, body);
      if (!(await quota.admit(ask.producer))) {
        alerts.raise({ kind: "undecided_quota", subject: ask.producer, detail: "New half messages of this producer are refused." });
        throw problem("undecided_quota", { producer: ask.producer, retryAfterMs: 5_000 });
      }
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      // What is stored already stands, whatever speaks against storing it now.
      const standing = await store.read(database, ask.producer, ask.id);
      if (standing === null) throw error;
      return preparedReply({ isNew: false, standing }, fingerprintOf(body));
    }
    let prepared: Prepared | null = null;
    try {
      prepared = await writer.prepare(halfMessage);
      databaseClock.observe(prepared.standing.nowMs);
      if (prepared.isNew) metrics.count("waybill_half_prepared_total", { producer: ask.producer });
      return preparedReply(prepared, halfMessage.fingerprint);
    } finally {
      quota.settle(ask.producer, prepared?.isNew === true);
    }
  };

  const decide = async (ask: Ask, wish: Wish, reason: string | null, body: NewHalfMessage | null): Promise<Reply> => {
    const actor = `producer:${ask.caller.keyId}`;
    const { producer, id } = ask;
    const judged = await writer.judge({ producer, id, wish, actor, reason, checkNumber: null, body });
    tell(judged, producer, id);
    return decidedReply(judged, producer, id);
  };

  const tell = ({ verdict, before, after }: Judged, producer: string, id: string): void => {
    if (verdict.kind === "decide" || verdict.kind === "create") {
      if (before !== null) quota.release(producer);
      metrics.count("waybill_half_decided_total", { producer, state: verdict.to, by: "producer" });
    }
    if (verdict.kind === "refused" && verdict.log === "conflict") {
      metrics.count("waybill_half_conflicts_total", { producer });
      alerts.raise({ kind: "decision_conflict", subject: `${producer}/${id}`, detail: `It is ${after?.state ?? "decided"} already.` });
    }
  };

  const commit = async (ask: Ask, value: unknown, at: string): Promise<Reply> => {
    if (value === undefined) return decide(ask, { kind: "commit", fingerprint: null, mayCreate: false }, null, null);
    const body = readHalfMessage(value, at, ask.id, limits);
    try {
      const halfMessage = await resolve(ask, body);
      return await decide(ask, { kind: "commit", fingerprint: halfMessage.fingerprint, mayCreate: true }, null, halfMessage);
    } catch (error) {
      if (!(error instanceof ApiProblem) || !speaksAgainstStoring.has(error.code)) throw error;
      if ((await store.read(database, ask.producer, ask.id)) === null) throw error;
      return decide(ask, { kind: "commit", fingerprint: fingerprintOf(body), mayCreate: false }, null, null);
    }
  };

  const rollback = async (ask: Ask, reason: string | null): Promise<Reply> => {
    try {
      refuseOldId(ask);
    } catch (error) {
      if ((await store.read(database, ask.producer, ask.id)) === null) throw error;
    }
    return decide(ask, { kind: "rollback" }, reason, null);
  };

  return { prepare, commit, rollback };
}
