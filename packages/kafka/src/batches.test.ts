import { expect, test } from "vitest";
import { batchBytesMax, cutIntoBatches, recordBytes, recordsMax } from "./batches.ts";
import type { KafkaRecord } from "./producer-client.ts";

function item(valueBytes: number, headers: readonly (readonly [string, string])[] = []): { readonly record: KafkaRecord } {
  return { record: { key: null, value: Buffer.alloc(valueBytes), headers: new Map(headers), timestampMs: 0 } };
}

test("a send holds no more than 500 records", () => {
  const batches = cutIntoBatches(Array.from({ length: 1_201 }, () => item(1)));
  expect(batches.map(({ length }) => length)).toEqual([recordsMax, recordsMax, 201]);
});

test("a send holds no more than 512 KiB, and a larger record goes alone", () => {
  const items = [item(300_000), item(200_000), item(100_000), item(900_000), item(1)];
  const batches = cutIntoBatches(items);
  expect(batches).toEqual([[items[0], items[1]], [items[2]], [items[3]], [items[4]]]);
  for (const batch of batches.filter(({ length }) => length > 1)) {
    expect(61 + batch.reduce((bytes, { record }) => bytes + recordBytes(record), 0)).toBeLessThanOrEqual(batchBytesMax);
  }
});

test("headers count by their bytes, not by their letters", () => {
  expect(recordBytes(item(0, [["n", "世界"]]).record)).toBe(36 + 10 + 1 + 6);
});

test("nothing is cut into nothing", () => {
  expect(cutIntoBatches([])).toEqual([]);
});
