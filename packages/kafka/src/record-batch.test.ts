import { expect, test } from "vitest";
import { recordBytes } from "./batches.ts";
import { nodeProblem } from "./platformatic/requirements.ts";
import type { KafkaRecord } from "./producer-client.ts";
import { produceRequest, recordBatch } from "./record-batch.ts";

const record = (given: Partial<KafkaRecord> = {}): KafkaRecord => ({
  key: Buffer.from("key"),
  value: Buffer.from("value"),
  headers: new Map([["ce_id", "1"]]),
  timestampMs: 1_700_000_000_000,
  ...given,
});

const samples: readonly (readonly [what: string, records: readonly KafkaRecord[]])[] = [
  ["one record", [record()]],
  [
    "no key, a tombstone, nothing in them",
    [record({ key: null }), record({ value: null }), record({ key: Buffer.alloc(0), value: Buffer.alloc(0) })],
  ],
  ["no headers, and headers beyond ASCII", [record({ headers: new Map() }), record({ headers: new Map([["grüße", "日本 🎈"]]) })]],
  ["times before and after the first", [record(), record({ timestampMs: 1_699_999_000_000 }), record({ timestampMs: 1_700_001_000_000 })]],
  [
    "lengths around those that take another byte",
    [63, 64, 8_191, 8_192, 900_000].map((bytes) => record({ value: Buffer.alloc(bytes, 7) })),
  ],
  [
    "500 records",
    Array.from({ length: 500 }, (_, place) => record({ value: Buffer.from(String(place)), timestampMs: 1_700_000_000_000 + place })),
  ],
];

test("a batch's lengths agree with each other, and none is longer than was reckoned", () => {
  for (const [what, records] of samples) {
    const batch = recordBatch(records, () => 0x12345678);
    expect(batch.readInt32BE(8), what).toBe(batch.length - 12);
    expect(batch.readUInt32BE(17), what).toBe(0x12345678);
    expect(batch.readInt32BE(57), what).toBe(records.length);
    expect(batch.length, what).toBeLessThanOrEqual(records.reduce((sum, one) => sum + recordBytes(one), 61));
  }
});

test.runIf(nodeProblem(process.versions.node) === null)("every byte is what the library would write", { timeout: 60_000 }, async () => {
  const { createRecordsBatch, crc32c, produceV7 } = await import("@platformatic/kafka");
  for (const [what, records] of samples) {
    const messages = records.map(({ key, value, headers, timestampMs }) => ({
      topic: "orders",
      partition: 3,
      key: key as Buffer | null,
      value: value as Buffer | null,
      headers: new Map(Array.from(headers, ([name, text]) => [Buffer.from(name), Buffer.from(text)])),
      timestamp: BigInt(timestampMs),
    }));
    const options = { partitionLeaderEpoch: -1, producerEpoch: -1, sequences: { getWithDefault: () => -1 } };
    const theirs = createRecordsBatch(messages as never, options as never).buffer;
    expect(recordBatch(records, crc32c).equals(theirs), what).toBe(true);
    const request = produceV7.createRequest(-1, 8_000, messages as never, options as never) as unknown as { readonly buffer: Buffer };
    expect(produceRequest({ topic: "orders", partition: 3, records }, 8_000, crc32c).equals(request.buffer), what).toBe(true);
  }
});

test.runIf(nodeProblem(process.versions.node) === null)(
  "times a month apart keep their places in one batch, which the library's own batches do not give them",
  { timeout: 60_000 },
  async () => {
    const { createRecordsBatch, crc32c, Reader, readRecordsBatches } = await import("@platformatic/kafka");
    const firstMs = 1_700_000_000_000;
    const timesMs = [firstMs, firstMs - 30 * 86_400_000, firstMs + 30 * 86_400_000, 0, 4_000_000_000_000];
    const deltasOf = (bytes: Buffer): readonly number[] =>
      readRecordsBatches(Reader.from(bytes)).flatMap(({ records }) => records.map(({ timestampDelta }) => Number(timestampDelta)));
    const wanted = timesMs.map((ms) => ms - firstMs);
    const ours = timesMs.map((timestampMs) => record({ timestampMs }));
    expect(deltasOf(recordBatch(ours, crc32c))).toEqual(wanted);
    const theirs = timesMs.map((ms) => ({ topic: "orders", partition: 0, value: Buffer.from("v"), timestamp: BigInt(ms) }));
    expect(deltasOf(createRecordsBatch(theirs as never).buffer)).not.toEqual(wanted);
  },
);
