import type { Identifier } from "@waybill/sql";
import type { Reader } from "../find-message.ts";
import { findEnds } from "./statements/find-ends.ts";
import { findIdAtTime } from "./statements/find-id-at-time.ts";

/** An id below which all rows are older than a time, in milliseconds since 1970; one more than the highest if all are; null for an empty ledger. */
export async function idAtTime(reader: Reader, outbox: Identifier, timeMs: number): Promise<bigint | null> {
  const [ends] = (await reader.query(findEnds(outbox), [])) as readonly { low: string | null; high: string | null }[];
  if (ends === undefined || ends.low === null || ends.high === null) return null;
  const probe = async (from: bigint): Promise<{ readonly id: bigint; readonly createdMs: number } | null> => {
    const [row] = (await reader.query(findIdAtTime(outbox), [String(from)])) as readonly { id: string; created_ms: string }[];
    return row === undefined ? null : { id: BigInt(row.id), createdMs: Number(row.created_ms) };
  };
  return await searchId(probe, BigInt(ends.low), BigInt(ends.high) + 1n, timeMs);
}

/**
 * Searches [low, high] for the first id from which on no row is older than the time. `probe` answers the first row at or above an id; rows are
 * nearly in the order of their times, as an id is handed out a moment before the clock is read.
 */
async function searchId(
  probe: (from: bigint) => Promise<{ readonly id: bigint; readonly createdMs: number } | null>,
  lowest: bigint,
  highest: bigint,
  timeMs: number,
): Promise<bigint> {
  let low = lowest;
  let high = highest;
  while (low < high) {
    const middle = low + (high - low) / 2n;
    const row = await probe(middle);
    if (row !== null && row.createdMs < timeMs) low = row.id + 1n;
    else high = middle;
  }
  return low;
}
