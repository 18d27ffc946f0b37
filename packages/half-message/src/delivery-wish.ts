/**
 * What consumers and operators may wish of a delivery, and what becomes of it: the wish and the row go in, the change comes out. No I/O.
 *
 *     ack        whatever it is ──▶ acked. An effect is committed: that is a fact, however late it is told, and before our own publish was noted, too
 *     nack       awaiting_ack ──▶ published again at its time; permanent, or redelivered often enough: dead
 *     extend     awaiting_ack ──▶ a later deadline
 *     redrive    dead ──▶ pending, as if it had never been tried, under the same message id
 *     give up    pending, awaiting_ack ──▶ dead          force-ack   whatever it is ──▶ acked
 *     discard    dead ──▶ acked: closed for good. One that was redriven meanwhile goes its way
 *
 * A nack says which attempt it is about: an older one was answered by a later attempt already, and changes nothing.
 */
import type { Random } from "@waybill/core";
import { type DeliveryPolicy, isUnacknowledged, retryDelayMs } from "./delivery-schedule.ts";

export type DeliveryWish =
  | { readonly kind: "ack" }
  | {
      readonly kind: "nack";
      readonly attempt: number;
      readonly retryAfterMs: number | null;
      readonly isPermanent: boolean;
      readonly reason: string | null;
    }
  | { readonly kind: "extend"; readonly forMs: number }
  /** `afterMs`: of many they go one after the other. */
  | { readonly kind: "redrive"; readonly afterMs: number }
  | { readonly kind: "giveUp" }
  | { readonly kind: "forceAck" }
  | { readonly kind: "discard" };

export type DeliveryState = "pending" | "awaiting_ack" | "acked" | "dead";

/** A delivery's row, locked. */
export interface StandingDelivery {
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly redeliveries: number;
  /** Its lane schedules it. */
  readonly isInLane: boolean;
  readonly hasLane: boolean;
  readonly isNotification: boolean;
}

export interface DeliveryChange {
  readonly state: DeliveryState;
  readonly isInLane: boolean;
  readonly dueMs: number | null;
  readonly notBeforeMs: number | null;
  /** Given: its lane, which it holds, is free for others after so many ms. */
  readonly laneAfterMs: number | null;
  readonly redelivered: 0 | 1;
  readonly startsAnew: boolean;
  readonly giveUpMs: number | null;
  readonly outcome: string | null;
  readonly error: string | null;
  readonly deadReason: string | null;
}

const unchanged = {
  dueMs: null,
  notBeforeMs: null,
  laneAfterMs: null,
  redelivered: 0,
  startsAnew: false,
  giveUpMs: null,
  outcome: null,
  error: null,
} as const;

/** null: it stays as it is. */
export function changeFor(
  wish: DeliveryWish,
  standing: StandingDelivery,
  policy: Pick<DeliveryPolicy, "backoff" | "maxRedeliveries" | "giveUpAfterMs">,
  random: Random,
): DeliveryChange | null {
  const { state, isInLane } = standing;
  const awaits = state === "awaiting_ack";
  // A lane that waits for its head's acknowledgement goes on with what is behind it.
  const laneAfterMs = awaits && isInLane ? 0 : null;
  const ended = { ...unchanged, isInLane: false, laneAfterMs } as const;
  switch (wish.kind) {
    case "ack":
    case "forceAck":
      return state === "acked" ? null : { ...ended, state: "acked", deadReason: null };
    case "discard":
      return state === "dead" ? { ...ended, state: "acked", deadReason: null } : null;
    case "giveUp":
      return state === "acked" || state === "dead" ? null : { ...ended, state: "dead", deadReason: "given_up" };
    case "extend":
      if (!awaits) return null;
      return { ...unchanged, state, isInLane, deadReason: null, ...(isInLane ? { laneAfterMs: wish.forMs } : { dueMs: wish.forMs }) };
    case "nack": {
      if (!awaits || wish.attempt !== standing.attempts) return null;
      const said = { outcome: "nacked", error: wish.reason } as const;
      if (wish.isPermanent) return { ...ended, ...said, state: "dead", deadReason: "nacked" };
      const redeliveries = standing.redeliveries + 1;
      if (isUnacknowledged(redeliveries, policy)) return { ...ended, ...said, state: "dead", deadReason: "unacknowledged" };
      const afterMs = wish.retryAfterMs ?? retryDelayMs(policy.backoff, redeliveries, random);
      const again = { ...unchanged, ...said, state: "pending", isInLane, redelivered: 1, deadReason: null } as const;
      return isInLane ? { ...again, laneAfterMs: afterMs } : { ...again, dueMs: afterMs };
    }
    case "redrive": {
      if (state !== "dead") return null;
      const { hasLane, isNotification } = standing;
      const when = hasLane ? { notBeforeMs: isNotification || wish.afterMs > 0 ? wish.afterMs : null } : { dueMs: wish.afterMs };
      const anew = { startsAnew: true, giveUpMs: wish.afterMs + policy.giveUpAfterMs } as const;
      return { ...unchanged, ...anew, ...when, state: "pending", isInLane: hasLane, deadReason: null };
    }
  }
}
