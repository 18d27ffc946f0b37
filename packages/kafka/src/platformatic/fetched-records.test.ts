import { expect, test } from "vitest";
import type { DriverFetchedPartition, DriverRecordBatch } from "./driver.ts";
import { fetchedRecords } from "./fetched-records.ts";

const transactional = 16;
const control = 32;

function batch(firstOffset: bigint, values: readonly (string | null)[], given: Partial<DriverRecordBatch> = {}): DriverRecordBatch {
  return {
    firstOffset,
    magic: 2,
    attributes: 0,
    lastOffsetDelta: values.length - 1,
    firstTimestamp: 1_000n,
    maxTimestamp: 5_000n,
    producerId: -1n,
    records: values.map((value, place) => ({
      timestampDelta: BigInt(place),
      offsetDelta: place,
      key: null,
      value: value === null ? null : Buffer.from(value),
      headers: [[Buffer.from("ce_id"), Buffer.from("1")]],
    })),
    ...given,
  };
}

function mark(offset: bigint, producerId: bigint, kind: 0 | 1): DriverRecordBatch {
  const key = Buffer.from([0, 0, 0, kind]);
  const records = [{ timestampDelta: 0n, offsetDelta: 0, key, value: null, headers: [] }];
  return batch(offset, [null], { attributes: transactional | control, producerId, records });
}

function partition(
  records: readonly DriverRecordBatch[],
  aborted: DriverFetchedPartition["abortedTransactions"] = null,
): DriverFetchedPartition {
  return { partitionIndex: 0, errorCode: 0, abortedTransactions: aborted, records };
}

const valuesOf = (of: DriverFetchedPartition, from: bigint): readonly (string | undefined)[] =>
  fetchedRecords(of, from).records.map(({ value }) => value?.toString());

test("a batch that begins before the position gives only what lies behind it", () => {
  const fetched = fetchedRecords(partition([batch(5n, ["a", "b", "c"]), batch(10n, ["d"])]), 7n);
  expect(fetched.records.map(({ offset, timestampMs }) => [offset, timestampMs])).toEqual([
    [7n, 1_002],
    [10n, 1_000],
  ]);
  expect(fetched.next).toBe(11n);
});

test("nothing fetched goes on where it was, and a batch that was compacted away is passed over", () => {
  expect(fetchedRecords(partition([]), 7n)).toEqual({ next: 7n, records: [] });
  expect(fetchedRecords(partition([batch(7n, [], { lastOffsetDelta: 4 })]), 7n)).toEqual({ next: 12n, records: [] });
});

test("what a transaction took back is left out, what it committed is not, and marks are nobody's message", () => {
  const of = (producerId: bigint): Partial<DriverRecordBatch> => ({ attributes: transactional, producerId });
  const log = [batch(0n, ["gone"], of(1n)), batch(1n, ["kept"], of(2n)), mark(2n, 1n, 0), mark(3n, 2n, 1), batch(4n, ["later"], of(1n))];
  const fetched = partition(log, [{ producerId: 1n, firstOffset: 0n }]);
  expect(valuesOf(fetched, 0n)).toEqual(["kept", "later"]);
  expect(fetchedRecords(fetched, 0n).next).toBe(5n);
});

test("the broker's time counts where the topic says so", () => {
  expect(fetchedRecords(partition([batch(0n, ["a", "b"], { attributes: 8 })]), 0n).records.map(({ timestampMs }) => timestampMs)).toEqual([
    5_000, 5_000,
  ]);
});

test("a log in a format from before record batches is refused", () => {
  expect(() => fetchedRecords(partition([batch(0n, ["a"], { magic: 1 })]), 0n)).toThrow(RangeError);
});
