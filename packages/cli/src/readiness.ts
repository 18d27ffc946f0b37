import { isWaybillError } from "@waybill/core";
import type { RelayStanding } from "@waybill/relay";

export interface Readiness {
  readonly isReady: boolean;
  readonly state: string;
  /** Why it is not ready; empty if it is. Names and numbers, for whoever looks. */
  readonly reasons: readonly string[];
}

/** Of several relays in one process. */
export interface ProcessReadiness extends Omit<Readiness, "state"> {
  readonly relays: readonly (Readiness & { readonly name: string })[];
}

/**
 * Ready means that messages move, or that somebody else moves them: a standby is ready. A relay that lives and makes no progress
 * is not.
 */
export function readinessOf(
  { health, endedWith }: Pick<RelayStanding, "health" | "endedWith">,
  isStopping: boolean,
  maxAgeMs: number,
): Readiness {
  const reasons: string[] = [];
  if (isStopping) reasons.push("stopping");
  if (endedWith !== null) {
    const code = isWaybillError(endedWith) ? endedWith.code : "UNEXPECTED";
    return { isReady: false, state: "ended", reasons: [...reasons, `ended with ${code}, and is begun anew after a while`] };
  }
  if (health.state === "starting") reasons.push("not started yet");
  if (health.state === "failing") reasons.push(`failing: ${health.lastError ?? "unknown"}`);
  if (health.state === "stopped" || health.state === "paused")
    reasons.push(`the subscription is ${health.state}${health.stateReason === null ? "" : `: ${health.stateReason}`}`);
  if (health.isFull) reasons.push("too much waits, nothing new is read");
  if (health.oldestUnpublishedMs > maxAgeMs) {
    const topics = health.waitingTopics.length === 0 ? "" : `; waiting topics: ${health.waitingTopics.join(", ")}`;
    reasons.push(
      `the oldest unpublished message is ${Math.round(health.oldestUnpublishedMs)} ms old, at most ${maxAgeMs} is ready${topics}`,
    );
  }
  return { isReady: reasons.length === 0, state: health.state, reasons };
}

/** A process with several relays is ready if each of them is: what does not move is found by looking at one place. */
export function processReadiness(relays: ProcessReadiness["relays"]): ProcessReadiness {
  const reasons = relays.flatMap(({ name, reasons: own }) => own.map((reason) => `${name}: ${reason}`));
  return { isReady: reasons.length === 0, reasons, relays };
}
