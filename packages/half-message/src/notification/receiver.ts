/**
 * Brings notifications to receivers: endpoints of others, each with a lane and a schedule of its own.
 *
 *     woken ──▶ lanes of receivers claimed ──▶ each by itself: at most `concurrency` calls ──▶ recorded together ──▶ its lane is free
 *                                                 └── not registered any more, or disabled: dead, nothing is sent
 *
 * One receiver that hangs holds its own lane and one of `lanesMax` places. Failures in a row are counted in the lane's row: from `failuresMax` on the
 * receiver is left alone, longer each time, by all services alike and over restarts; then it is tried with one call. Waiting costs no attempt.
 *
 * A crash between call and record: called again, with the same id. A receiver dedupes by `webhook-id`.
 */
import { type Clock, emit, type OnEvent, type Random } from "@waybill/core";
import type { Database, OwnedTx } from "@waybill/sql";
import type { Alerts } from "../alerts.ts";
import { codeOf } from "../code-of.ts";
import { wakeUp } from "../delivery/wake-up.ts";
import {
  type Claim,
  type ClaimedDelivery,
  type DeadDelivery,
  type DeliveryResult,
  type DeliveryStore,
  receiversDestination,
  type WriteDead,
} from "../delivery-store.ts";
import type { Receiver, ReceiverStore } from "../receiver-store.ts";
import { type NotifyOptions, notify } from "./notify.ts";
import type { ReceiverRules } from "./receiver-options.ts";
import type { ReceiverSecrets } from "./receiver-secret.ts";
import { afterNotification, breakerMs, isPreset, type NotificationAnswer, presets } from "./schedule.ts";

export interface NotificationLoopOptions extends NotifyOptions {
  readonly store: DeliveryStore;
  readonly receivers: ReceiverStore;
  readonly secrets: ReceiverSecrets;
  readonly database: Database;
  readonly leaseMs: number;
  readonly rules: ReceiverRules;
  readonly clock: Clock;
  readonly random: Random;
  readonly alerts: Alerts;
  readonly onEvent: OnEvent | undefined;
  readonly writeDead: WriteDead;
  readonly onDead: (dead: readonly DeadDelivery[]) => void;
}

export interface NotificationLoop {
  wake(): void;
  run(signal: AbortSignal, onDueIn: (afterMs: number) => void): Promise<void>;
}

/** Receivers called at once by one service. */
const lanesMax = 64;
const databaseRetryMs = 1_000;
/** As leases everywhere: we stop a quarter early. */
const trusted = 3 / 4;

const destination = receiversDestination;

export function notificationLoop(options: NotificationLoopOptions): NotificationLoop {
  const { store, receivers, secrets, database, leaseMs, rules, clock, random, alerts, onEvent } = options;
  const woken = wakeUp(clock);
  const underWay = new Set<Promise<void>>();

  const judge = (delivery: ClaimedDelivery, receiver: Receiver, answer: NotificationAnswer, tookMs: number): DeliveryResult => {
    const { delays, success } = scheduleOf(receiver, rules);
    const verdict = afterNotification(answer, { attempt: delivery.attempt, delays, success }, random);
    const next = verdict.kind === "again" ? { ...verdict, holdsLane: false } : verdict;
    const isAnswered = answer.kind === "answered";
    const isOurs = answer.kind === "notSent" && answer.reason === "leaseLost";
    return {
      delivery,
      next: isOurs ? { kind: "again", afterMs: 0, isCharged: false, holdsLane: false } : next,
      outcome: verdict.kind === "acked" ? "confirmed" : isAnswered ? "failed" : answer.kind,
      error: verdict.kind === "acked" ? null : isAnswered ? `status ${answer.status}` : answer.reason,
      status: isAnswered ? answer.status : null,
      isLogged: !isOurs,
      beganAgoMs: tookMs,
      tookMs,
    };
  };

  const callAll = async (claim: Claim, receiver: Receiver, trustedUntilMs: number): Promise<readonly DeliveryResult[]> => {
    const signing = secrets.of(receiver);
    emit(onEvent, { name: "delivery.publishing", destination, messages: claim.deliveries.length });
    const beganMs = clock.monotonicMs();
    const results = await Promise.all(
      claim.deliveries.map(async (delivery) => {
        const answer = await notify(delivery, receiver, signing, trustedUntilMs, options);
        return judge(delivery, receiver, answer, clock.monotonicMs() - beganMs);
      }),
    );
    const confirmed = results.filter(({ next }) => next.kind === "acked");
    const unknown = results.filter(({ outcome }) => outcome === "unknown").length;
    emit(onEvent, {
      name: "delivery.published",
      destination,
      confirmed: confirmed.length,
      rejected: 0,
      retry: results.length - confirmed.length - unknown,
      unknown,
      durationMs: clock.monotonicMs() - beganMs,
      delaysMs: confirmed.map(({ delivery, tookMs }) => delivery.lateMs + tookMs),
    });
    return results;
  };

  /** What is written about the receiver itself, in the transaction of its results. */
  /** Only about the receiver that was called: one that an operator has changed meanwhile begins anew. */
  const writeReceiver = async (tx: OwnedTx, receiver: Receiver, results: readonly DeliveryResult[]): Promise<string | null> => {
    const { receiver: name, version } = receiver;
    const disable = async (reason: string): Promise<string | null> => {
      if (!(await receivers.setState(tx, name, "disabled", reason, "service", version))) return null;
      await receivers.log(tx, name, "receiver_changed", "service", `disabled: ${reason}`);
      return reason;
    };
    if (results.some(({ next }) => next.kind === "dead" && next.reason === "gone")) return disable("gone");
    if (results.some(({ next }) => next.kind === "acked")) {
      if (receiver.failingForMs !== null) await receivers.setFailing(tx, name, false, version);
      return null;
    }
    if (receiver.failingForMs === null) await receivers.setFailing(tx, name, true, version);
    return receiver.failingForMs !== null && receiver.failingForMs >= rules.disableAfterMs ? disable("failing") : null;
  };

  const deliver = async (claim: Claim, lane: string, receiver: Receiver | undefined, trustedUntilMs: number): Promise<void> => {
    const isCallable = receiver?.state === "active";
    const refused = receiver === undefined ? "receiver_removed" : "receiver_disabled";
    const results = isCallable
      ? await callAll(claim, receiver, trustedUntilMs)
      : claim.deliveries.map((delivery) => unsent(delivery, refused));
    const failures = isCallable ? failuresAfter(claim.failures.get(lane) ?? 0, results, rules.breaker.failuresMax) : 0;
    const blockedMs = breakerMs(failures, rules.breaker);
    const marked = results.map((result) => ({ ...result, lane: { failures, blockedMs } }));
    let disabled: string | null = null;
    const alsoWrite = async (tx: OwnedTx): Promise<void> => {
      disabled = isCallable ? await writeReceiver(tx, receiver, results) : null;
    };
    try {
      const { written, dead } = await store.record(database, claim, marked, options.writeDead, alsoWrite);
      emit(onEvent, { name: "delivery.recorded", destination, written: written.size, lost: results.length - written.size });
      for (const { deliveryId, messageId, reason } of dead)
        emit(onEvent, { name: "delivery.dead", destination, deliveryId, messageId, reason });
      if (dead.length > 0) options.onDead(dead);
      if (disabled !== null)
        alerts.raise({ kind: "receiver_disabled", subject: lane, detail: `A receiver was disabled: ${String(disabled)}.` });
    } catch (error) {
      emit(onEvent, { name: "delivery.databaseFailed", destination, operation: "record", code: codeOf(error) });
    }
    woken.wake();
  };

  /** Claims once; answers how long to wait before the next claim. */
  const step = async (onDueIn: (afterMs: number) => void): Promise<number> => {
    const places = lanesMax - underWay.size;
    if (places <= 0) return Number.POSITIVE_INFINITY;
    const sentAtMs = clock.monotonicMs();
    let claims: readonly Claim[];
    let registered: ReadonlyMap<string, Receiver>;
    try {
      const perLane = { usual: rules.concurrency, failing: 1, failuresMax: rules.breaker.failuresMax };
      claims = await store.claimNotifications(database, { destination, limit: places, leaseMs, perLane });
      const found = await receivers.find(
        database,
        claims.map((claim) => laneOf(claim)),
      );
      registered = new Map(found.map((receiver) => [receiver.receiver, receiver]));
    } catch (error) {
      emit(onEvent, { name: "delivery.databaseFailed", destination, operation: "claim", code: codeOf(error) });
      return databaseRetryMs;
    }
    for (const claim of claims) {
      emit(onEvent, { name: "delivery.claimed", destination, deliveries: claim.deliveries.length });
      const lane = laneOf(claim);
      const call = deliver(claim, lane, registered.get(lane), sentAtMs + leaseMs * trusted)
        // The lease ends, and it is tried again.
        .catch((error: unknown) =>
          emit(onEvent, { name: "delivery.databaseFailed", destination, operation: "record", code: codeOf(error) }),
        )
        .finally(() => {
          underWay.delete(call);
          onDueIn(0);
        });
      underWay.add(call);
    }
    return claims.length < places ? Number.POSITIVE_INFINITY : 0;
  };

  return {
    wake: () => woken.wake(),
    async run(signal, onDueIn) {
      while (!signal.aborted) {
        const waitMs = await step(onDueIn);
        if (waitMs > 0) await woken.wait(Math.min(waitMs, 2 ** 31), signal);
      }
      await Promise.all(underWay);
    },
  };
}

function laneOf(claim: Claim): string {
  return claim.deliveries[0]?.lane ?? "";
}

function scheduleOf({ schedule, success }: Receiver, rules: ReceiverRules) {
  const name = typeof schedule === "string" ? schedule : rules.schedule;
  const preset = presets[isPreset(name) ? name : "standard-webhooks"];
  return {
    delays: typeof schedule === "string" ? preset.delays : schedule,
    success: success ?? (typeof schedule === "string" ? preset.success : { status: ["2xx"] as const }),
  };
}

function unsent(delivery: ClaimedDelivery, reason: string): DeliveryResult {
  return {
    delivery,
    next: { kind: "dead", reason },
    outcome: "notSent",
    error: null,
    status: null,
    isLogged: false,
    beganAgoMs: 0,
    tookMs: 0,
  };
}

/** Failures in a row, after these. Calls that were made side by side open the breaker together, and do not count as many failed probes. */
function failuresAfter(before: number, results: readonly DeliveryResult[], failuresMax: number): number {
  if (results.some(({ next }) => next.kind === "acked")) return 0;
  const failed = results.filter(({ isLogged }) => isLogged).length;
  return before < failuresMax ? Math.min(failuresMax, before + failed) : before + Math.min(1, failed);
}
