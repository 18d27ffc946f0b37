/**
 * When a consumer that lives is taken for dead. Heartbeats hide nothing here: what counts is what comes in and what is settled. Pure.
 */

/** What is to be seen of one partition. Times are monotonic; null: it is not so now. */
export interface PartitionView {
  /** Since when it is fetched and has handed over nothing. */
  readonly silentSinceMs: number | null;
  /** Since when it rests though nothing of it is held and there is room. */
  readonly idleSinceMs: number | null;
  /** Since when something of it is with the handlers and nothing was settled. */
  readonly outSinceMs: number | null;
  /** Since when something of it waits for its turn. */
  readonly waitingSinceMs: number | null;
}

export interface ConsumerView {
  readonly nowMs: number;
  /** Since when the group is being shared out, or was never joined; null: we are in. */
  readonly joiningSinceMs: number | null;
  readonly fetchedMs: number;
  readonly heartbeatMs: number;
  /** The last settlement of anything. */
  readonly settledMs: number;
  readonly partitions: readonly PartitionView[];
}

export interface WatchdogLimits {
  readonly silenceMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly handlerDeadlineMs: number;
}

const idleMsMax = 5_000;

export type WatchdogReason = "notJoined" | "noFetch" | "noHeartbeat" | "restsThoughEmpty" | "noSettlement";

/** Why the consumer is to be built anew, or null. */
export function watchdogReason(view: ConsumerView, limits: WatchdogLimits): WatchdogReason | null {
  const { nowMs, joiningSinceMs, partitions } = view;
  const isLonger = (sinceMs: number | null, limitMs: number): boolean => sinceMs !== null && nowMs - sinceMs > limitMs;
  if (joiningSinceMs !== null) return isLonger(joiningSinceMs, limits.rebalanceTimeoutMs + limits.silenceMs) ? "notJoined" : null;
  if (isLonger(view.fetchedMs, limits.silenceMs)) return "noFetch";
  if (isLonger(view.heartbeatMs, limits.silenceMs)) return "noHeartbeat";
  const stuckMs = 2 * limits.handlerDeadlineMs;
  for (const { idleSinceMs, outSinceMs, waitingSinceMs } of partitions) {
    if (isLonger(idleSinceMs, idleMsMax)) return "restsThoughEmpty";
    if (isLonger(outSinceMs, stuckMs)) return "noSettlement";
    // Others may have their turns for long; only if nobody comes to an end, this one waits in vain.
    if (isLonger(waitingSinceMs, stuckMs) && isLonger(view.settledMs, stuckMs)) return "noSettlement";
  }
  return null;
}

/** True if some partition has handed over nothing for so long that its lag is to be asked for: an idle topic has none. */
export function isLagToBeAsked({ nowMs, partitions }: ConsumerView, { silenceMs }: WatchdogLimits): boolean {
  return partitions.some(({ silentSinceMs }) => silentSinceMs !== null && nowMs - silentSinceMs > 2 * silenceMs);
}
