/**
 * Records out of what a broker sent for one partition. A broker sends whole batches: what lies before the position that was asked for,
 * what a transaction has taken back, and what the broker noted for itself is left out.
 */
import type { ConsumedRecord } from "../consumer-client.ts";
import type { DriverFetchedPartition, DriverRecordBatch } from "./driver.ts";

/** Bits of a batch's attributes. */
const isLogAppendTime = 8;
const isTransactional = 16;
const isControl = 32;
const magicOfToday = 2;

export interface FetchedRecords {
  /** Where fetching goes on: `from`, if nothing came. */
  readonly next: bigint;
  readonly records: readonly ConsumedRecord[];
}

/** @throws RangeError for a log that is older than record batches: it cannot be read */
export function fetchedRecords({ records: batches, abortedTransactions }: DriverFetchedPartition, from: bigint): FetchedRecords {
  const aborted = [...(abortedTransactions ?? [])].sort((one, other) => (one.firstOffset < other.firstOffset ? -1 : 1));
  const takenBack = new Set<bigint>();
  const records: ConsumedRecord[] = [];
  let next = from;
  for (const batch of batches ?? []) {
    if (batch.magic !== magicOfToday) throw new RangeError(`the log is written in format ${batch.magic}; only format 2 can be read`);
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta);
    for (; aborted.length > 0 && (aborted[0]?.firstOffset ?? 0n) <= last; aborted.shift()) takenBack.add(aborted[0]?.producerId ?? -1n);
    if (last >= next) next = last + 1n;
    if ((batch.attributes & isControl) !== 0) {
      if (isAbortMark(batch)) takenBack.delete(batch.producerId);
      continue;
    }
    if ((batch.attributes & isTransactional) !== 0 && takenBack.has(batch.producerId)) continue;
    for (const record of batch.records) {
      const offset = batch.firstOffset + BigInt(record.offsetDelta);
      if (offset < from) continue;
      const { key, value, headers } = record;
      records.push({
        offset,
        key,
        value,
        headers: headers.map(([name, bytes]) => [name?.toString("utf8") ?? "", bytes] as const),
        timestampMs: Number((batch.attributes & isLogAppendTime) === 0 ? batch.firstTimestamp + record.timestampDelta : batch.maxTimestamp),
      });
    }
  }
  return { next, records };
}

/** Its key is a version and a kind, of which 0 ends a transaction that is taken back. */
function isAbortMark({ records }: DriverRecordBatch): boolean {
  const key = records[0]?.key ?? null;
  return key !== null && key.length >= 4 && key.readInt16BE(2) === 0;
}
