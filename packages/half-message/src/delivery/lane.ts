/**
 * Brings deliveries to one destination, as long as something is due there.
 *
 *     woken ──▶ claim ──▶ nothing: wait to be woken
 *       ▲         └─────▶ publish ──▶ record ──▶ claim again …          at most `callsMax` of these at once
 *       └── the destination's breaker is open: until its probe is due
 *
 * A slow message holds up its own call, and the other calls go on. Of a key at most one message is under way for the first time, so first publications are
 * in order whatever the calls do. A redelivery goes beside them, unless `keyOrder` is "ack"; with `ordering: "none"` nothing keeps the messages of a key apart. Nothing is known of a destination at the start, so its first call is a probe with one message, and one failure opens the breaker: a service that
 * is restarted again and again calls a dead destination once each time. After failures in a row a probe goes per backoff step.
 *
 * A crash before the record leaves leases that end: what was confirmed and not recorded is published again with the same id.
 */
import {
  afterFailure,
  afterRejection,
  type Breaker,
  type Clock,
  closedBreaker,
  emit,
  isBraked,
  mayPass,
  type OnEvent,
  type PublishOutcome,
  type Random,
  type RejectionBrake,
  releasedBrake,
} from "@waybill/core";
import type { Units } from "@waybill/sql";
import { codeOf } from "../code-of.ts";
import type { Claim, DeadDelivery, DeliveryResult, DeliveryStore, WriteDead } from "../delivery-store.ts";
import type { Destination } from "./destination.ts";
import { publishClaim } from "./publish-claim.ts";
import { wakeUp } from "./wake-up.ts";

export interface DestinationLoopOptions {
  readonly destination: Destination;
  readonly store: DeliveryStore;
  readonly units: Units;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: OnEvent | undefined;
  /** Something of this destination is due in so many ms, as far as we know by what we have just written. */
  readonly onDueIn: (afterMs: number) => void;
  /** In the transaction in which deliveries become dead, and after it. */
  readonly writeDead: WriteDead;
  readonly onDead: (dead: readonly DeadDelivery[]) => void;
}

export interface DestinationLoop {
  /** Something may be due. */
  wake(): void;
  /** False while the breaker is open: what is due waits for a reason. */
  isClosed(): boolean;
  /** Until the signal aborts and what was under way is recorded. */
  run(signal: AbortSignal): Promise<void>;
}

/** Calls of the transport at once. */
const callsMax = 4;
/** How long a lane waits behind an earlier prepare before it is looked at without being woken. */
const heldMs = 5_000;
/** After the service's own database failed. */
const databaseRetryMs = 1_000;
/** As leases everywhere: we stop a quarter early. */
const trusted = 3 / 4;

export function destinationLoop(options: DestinationLoopOptions): DestinationLoop {
  const { destination, store, units, leaseMs, clock, random, onEvent } = options;
  const { name, policy } = destination;
  const { failuresMax } = policy.breaker;
  const woken = wakeUp(clock);
  const underWay = new Set<Promise<void>>();
  const brakes = new Map<string, RejectionBrake>();
  let breaker: Breaker = { failures: failuresMax - 1, probeAtMs: null };
  let isProved = false;

  const note = (health: "lives" | "fails" | "untold"): number => {
    const wasOpen = breaker.probeAtMs !== null;
    if (health !== "fails") isProved = true;
    if (health === "lives") {
      breaker = closedBreaker;
      if (wasOpen) emit(onEvent, { name: "delivery.breakerClosed", destination: name });
    }
    if (health === "fails") {
      breaker = afterFailure(breaker, policy.breaker, clock.monotonicMs(), random);
      if (!wasOpen && breaker.probeAtMs !== null)
        emit(onEvent, { name: "delivery.breakerOpened", destination: name, failures: breaker.failures });
    }
    return breaker.probeAtMs === null ? policy.breaker.firstMs : Math.max(1, breaker.probeAtMs - clock.monotonicMs());
  };

  const brake = (topic: string, outcome: PublishOutcome): PublishOutcome => {
    if (outcome.kind === "confirmed") brakes.delete(topic);
    if (outcome.kind !== "rejected") return outcome;
    const code = outcome.error.facts.reason;
    const before = brakes.get(topic) ?? releasedBrake;
    if (isBraked(before, code)) return { kind: "retry", error: outcome.error, scope: "topic" };
    const after = afterRejection(before, code);
    brakes.set(topic, after);
    if (isBraked(after, code)) emit(onEvent, { name: "delivery.topicBraked", destination: name, topic, reason: code });
    return outcome;
  };

  const deliver = async (claim: Claim, trustedUntilMs: number): Promise<void> => {
    emit(onEvent, { name: "delivery.claimed", destination: name, deliveries: claim.deliveries.length });
    try {
      const results = await publishClaim({ destination, claim, trustedUntilMs, clock, random, onEvent, brake, againAfterMs: note });
      const { written, dead } = await store.record(units, claim, results, options.writeDead);
      emit(onEvent, { name: "delivery.recorded", destination: name, written: written.size, lost: results.length - written.size });
      for (const result of results) if (written.has(result.delivery.seq)) tell(name, result, onEvent);
      if (dead.length > 0) options.onDead(dead);
      for (const { next } of results) {
        if (next.kind === "again") options.onDueIn(next.afterMs);
        if (next.kind === "awaitAck") options.onDueIn(next.deadlineMs);
      }
    } catch (error) {
      emit(onEvent, { name: "delivery.databaseFailed", destination: name, operation: "record", code: codeOf(error) });
    }
    woken.wake();
  };

  /** Claims once; answers how long to wait before the next claim, 0: not at all. */
  const step = async (signal: AbortSignal): Promise<number> => {
    if (underWay.size >= callsMax) return Number.POSITIVE_INFINITY;
    const nowMs = clock.monotonicMs();
    if (!mayPass(breaker, nowMs)) return (breaker.probeAtMs ?? nowMs) - nowMs;
    const isProbe = !isProved || breaker.probeAtMs !== null;
    if (isProbe && underWay.size > 0) return Number.POSITIVE_INFINITY;
    const limit = isProbe ? 1 : policy.batch;
    let claim: Claim;
    try {
      claim = await store.claim(units, { destination: name, limit, leaseMs, heldMs });
    } catch (error) {
      emit(onEvent, { name: "delivery.databaseFailed", destination: name, operation: "claim", code: codeOf(error) });
      return databaseRetryMs;
    }
    const nextMs = claim.isFull ? 0 : Number.POSITIVE_INFINITY;
    if (claim.deliveries.length === 0) return nextMs;
    if (signal.aborted) return 0; // its lease ends by itself
    const delivery = deliver(claim, nowMs + leaseMs * trusted).finally(() => underWay.delete(delivery));
    underWay.add(delivery);
    return nextMs;
  };

  return {
    wake: () => woken.wake(),
    isClosed: () => breaker.probeAtMs === null,
    async run(signal) {
      while (!signal.aborted) {
        const waitMs = await step(signal);
        if (waitMs > 0) await woken.wait(Math.min(waitMs, 2 ** 31), signal);
      }
      await Promise.all(underWay);
    },
  };
}

function tell(destination: string, { delivery, next, error }: DeliveryResult, onEvent: OnEvent | undefined): void {
  const { deliveryId, messageId, attempt } = delivery;
  if (next.kind === "dead") emit(onEvent, { name: "delivery.dead", destination, deliveryId, messageId, reason: next.reason });
  if (next.kind === "again") {
    const { afterMs } = next;
    emit(onEvent, { name: "delivery.retrying", destination, deliveryId, messageId, attempt, afterMs, reason: error ?? "" });
  }
}
