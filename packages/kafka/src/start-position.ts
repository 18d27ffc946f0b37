import type { PartitionPosition } from "./consumer-client.ts";

export type StartPosition =
  /** `isGap`: messages are gone that this group has not read. */
  | { readonly kind: "start"; readonly from: bigint; readonly isGap: boolean }
  /** A broker that has just become the leader may not know yet how far the log reaches: ask again before it is called shorter. */
  | { readonly kind: "askAgain" };

/**
 * Where a partition goes on, given where the group is in it (`at`; null: nowhere) and what is there.
 *
 *     low ≤ at ≤ high   at            at < low    low: what lay between has expired unread
 *     nowhere           low           at > high   low: the log was truncated, or made anew; what is read twice, the inbox knows
 */
export function startPosition(at: bigint | null, { low, high }: PartitionPosition, wasBeyondBefore: boolean): StartPosition {
  if (at === null) return { kind: "start", from: low, isGap: false };
  if (at < low) return { kind: "start", from: low, isGap: true };
  if (at <= high) return { kind: "start", from: at, isGap: false };
  return wasBeyondBefore ? { kind: "start", from: low, isGap: true } : { kind: "askAgain" };
}
