import type { History, IdRange } from "@waybill/auditor";

/**
 * How many messages were never received of which the product's own tables say that they are still to be sent: beyond the cursor, or in a range that it
 * keeps. They are late, which is a fault of another kind than lost. What is open in the dead letters the auditor counts by itself.
 */
export function owedOf({ ledger, subscriptions, deadLetters, received }: History): number {
  const [subscription] = subscriptions;
  if (subscription === undefined) return 0;
  const { lastId, openRanges } = subscription;
  const arrived = new Set(received.map(({ messageId }) => messageId));
  const open = new Set(deadLetters.filter(({ state }) => state !== "done" && state !== "discarded").map(({ messageId }) => messageId));
  let owed = 0;
  for (const { sequence, messageId, type, topic } of ledger) {
    if ((type === "" && topic === "") || arrived.has(messageId) || open.has(messageId)) continue;
    if (sequence > lastId || isIn(openRanges, sequence)) owed += 1;
  }
  return owed;
}

/** Ranges ascend and do not meet. */
function isIn(ranges: readonly IdRange[], id: bigint): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const range = ranges[middle] as IdRange;
    if (id < range.lo) high = middle;
    else if (id > range.hi) low = middle + 1;
    else return true;
  }
  return false;
}
