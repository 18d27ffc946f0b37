/**
 * Publishes what was claimed for a destination, and says what is to be recorded.
 *
 *     claimed ──▶ redelivered often enough: dead, nothing is sent
 *        └──────▶ publish ──▶ an outcome each ──▶ a verdict each (`delivery-schedule.ts`) ──▶ recorded by whoever called
 *
 * The call ends well before the lease does, by a clock that started before the lease was asked for; whatever has not ended by then is unknown. A
 * transport that throws, or answers another number of outcomes, has told nothing about any message: all of them are unknown.
 */
import {
  type Clock,
  emit,
  isWaybillError,
  type OnEvent,
  type OutgoingMessage,
  type PublishOutcome,
  type Random,
  waybillError,
  withDeadline,
} from "@waybill/core";
import { afterAttempt, destinationHealth, isUnacknowledged } from "../delivery-schedule.ts";
import type { Claim, ClaimedDelivery, DeliveryResult } from "../delivery-store.ts";
import type { Destination } from "./destination.ts";
import { outgoingDelivery } from "./outgoing-delivery.ts";

export interface PublishClaimOptions {
  readonly destination: Destination;
  readonly claim: Claim;
  /** Until when, by our monotonic clock, we trust the lease. */
  readonly trustedUntilMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: OnEvent | undefined;
  /** What becomes of a rejection: the destination's brake may take it for a failure of the topic. */
  readonly brake: (topic: string, outcome: PublishOutcome) => PublishOutcome;
  /** When what failed for its destination's sake goes again, once the health of this call is known. */
  readonly againAfterMs: (health: "lives" | "fails" | "untold") => number;
}

/** A transport ends by its deadline; one that does not is left behind a little later. */
const graceMs = 250;

export async function publishClaim(options: PublishClaimOptions): Promise<readonly DeliveryResult[]> {
  const { destination, claim, clock, random } = options;
  const { policy } = destination;
  const givenUp: DeliveryResult[] = [];
  const wanted: ClaimedDelivery[] = [];
  for (const delivery of claim.deliveries) {
    if (delivery.isRedelivery && isUnacknowledged(delivery.redeliveries, policy)) givenUp.push(unacknowledged(delivery));
    else wanted.push(delivery);
  }
  if (wanted.length === 0) return givenUp;

  const beganMs = clock.monotonicMs();
  const outcomes = (await publish(options, wanted)).map((outcome, place) => options.brake(wanted[place]?.topic ?? "", outcome));
  const tookMs = clock.monotonicMs() - beganMs;
  report(options, wanted, outcomes, tookMs);

  const scopedAfterMs = options.againAfterMs(destinationHealth(outcomes));
  const results = wanted.map((delivery, place): DeliveryResult => {
    const outcome = outcomes[place] as PublishOutcome;
    const givesUpInMs = delivery.givesUpInMs === null ? null : delivery.givesUpInMs - tookMs;
    const verdict = afterAttempt(outcome, { ...delivery, givesUpInMs }, policy, random);
    const error = outcome.kind === "confirmed" ? null : describe(outcome);
    const made = {
      delivery,
      outcome: outcome.kind,
      error,
      status: null,
      isLogged: outcome.kind !== "confirmed",
      beganAgoMs: tookMs,
      tookMs,
    };
    switch (verdict.kind) {
      case "acked":
      case "dead":
        return { ...made, next: verdict };
      case "awaitAck":
        return { ...made, next: { ...verdict, holdsLane: policy.keyOrder === "ack" && delivery.lane !== null } };
      case "again":
        return { ...made, next: { ...verdict, afterMs: verdict.afterMs ?? scopedAfterMs, holdsLane: true } };
    }
  });
  return [...givenUp, ...results];
}

function unacknowledged(delivery: ClaimedDelivery): DeliveryResult {
  const next = { kind: "dead", reason: "unacknowledged" } as const;
  return { delivery, next, outcome: "unacknowledged", error: null, status: null, isLogged: false, beganAgoMs: 0, tookMs: 0 };
}

async function publish(options: PublishClaimOptions, wanted: readonly ClaimedDelivery[]): Promise<readonly PublishOutcome[]> {
  const { destination, trustedUntilMs, clock, onEvent } = options;
  const { transport, policy, name } = destination;
  const deadlineMs = Math.min(policy.publishTimeoutMs, trustedUntilMs - clock.monotonicMs() - graceMs);
  if (deadlineMs <= 0) return wanted.map(() => failure("retry", "leaseLost"));
  const messages = wanted.map((delivery): OutgoingMessage => outgoingDelivery(delivery, policy.ackDeadlineMs));
  emit(onEvent, { name: "delivery.publishing", destination: name, messages: messages.length });
  try {
    const mayWrite = (): boolean => clock.monotonicMs() < trustedUntilMs;
    const ended = await withDeadline(clock, deadlineMs + graceMs, transport.publish(messages, { deadlineMs, mayWrite }));
    if (ended.kind === "late") return wanted.map(() => failure("unknown", "deadline"));
    return ended.value.length === wanted.length ? ended.value : wanted.map(() => failure("unknown", "outcomesMiscounted"));
  } catch (error) {
    return wanted.map(() => failure("unknown", isWaybillError(error) ? error.code : "transportThrew"));
  }
}

function failure(kind: "retry" | "unknown", reason: string): PublishOutcome {
  const text = "The transport did not tell what became of the message.";
  return { kind, scope: "transport", error: waybillError("WAYBILL_TRANSPORT", text, { system: "half-message", reason, brokerCode: null }) };
}

/** For the row and the log: the broker's words for what went wrong, and no text of its own. */
function describe({ error }: Exclude<PublishOutcome, { kind: "confirmed" }>): string {
  const { system, reason, brokerCode } = error.facts;
  return brokerCode === null ? `${system}: ${reason}` : `${system}: ${reason} (${brokerCode})`;
}

function report(
  { destination, onEvent }: PublishClaimOptions,
  wanted: readonly ClaimedDelivery[],
  outcomes: readonly PublishOutcome[],
  tookMs: number,
): void {
  const count = (kind: PublishOutcome["kind"]): number => outcomes.filter((outcome) => outcome.kind === kind).length;
  emit(onEvent, {
    name: "delivery.published",
    destination: destination.name,
    confirmed: count("confirmed"),
    rejected: count("rejected"),
    retry: count("retry"),
    unknown: count("unknown"),
    durationMs: tookMs,
    delaysMs: wanted.flatMap(({ lateMs }, place) => (outcomes[place]?.kind === "confirmed" ? [lateMs + tookMs] : [])),
  });
}
