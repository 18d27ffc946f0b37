/** Ranges of ids as the columns `hole_lo` and `hole_hi` hold them: two arrays of one length. */
import type { IdRange } from "@waybill/outbox";

export function decodeRanges(lows: readonly string[], highs: readonly string[]): readonly IdRange[] {
  return lows.map((low, index) => ({ low: BigInt(low), high: BigInt(highs[index] ?? low) }));
}
