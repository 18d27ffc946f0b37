import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { recordBytes } from "../batches.ts";
import { crc32c } from "../crc32c.ts";
import type { KafkaRecord } from "../producer-client.ts";
import { recordBatch } from "../record-batch.ts";

interface ReadBatch {
  readonly [field: string]: unknown;
  readonly records: readonly {
    readonly key: Buffer | null;
    readonly value: Buffer | null;
    readonly offset: string;
    readonly timestamp: string;
    readonly headers: Readonly<Record<string, Buffer>>;
  }[];
}
const require = createRequire(import.meta.url);
const protocol = join(dirname(require.resolve("kafkajs/package.json")), "src", "protocol");
const Decoder = require(join(protocol, "decoder.js")) as new (bytes: Buffer) => object;
const decodeBatch = require(join(protocol, "recordBatch", "v0", "decoder.js")) as (decoder: object) => Promise<ReadBatch>;

const some = (max: number) => fc.uint8Array({ maxLength: max });
const lengthsOfNote = fc
  .constantFrom(0, 1, 62, 63, 64, 65, 8_190, 8_191, 8_192, 70_000)
  .map((length) => new Uint8Array(length).fill(length));
const timesMs = fc.oneof(
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_600_000 }),
  fc.constantFrom(0, 1, 2 ** 31, 4e12, 253_402_300_799_999, 8_640_000_000_000_000),
);
const record: fc.Arbitrary<KafkaRecord> = fc.record({
  key: fc.option(fc.oneof(some(200), lengthsOfNote)),
  value: fc.option(fc.oneof(some(200), lengthsOfNote)),
  headers: fc
    .array(fc.tuple(fc.string({ unit: "grapheme", minLength: 1, maxLength: 70 }), fc.string({ unit: "grapheme", maxLength: 70 })), {
      maxLength: 6,
    })
    .map((headers) => new Map(headers.map(([name, text]) => [`ü-${name}`, text]))), // it takes `valueOf` for a header that it has read already
  timestampMs: timesMs,
});

test("the library reads of a batch what was to be written, whatever is in it", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 12 }), async (records) => {
      const batch = recordBatch(records, crc32c);
      expect(batch.length).toBeLessThanOrEqual(records.reduce((sum, one) => sum + recordBytes(one), 61));
      expect(batch.readUInt32BE(17)).toBe(crc32c(batch.subarray(21)));
      const read = await decodeBatch(new Decoder(batch));
      expect(read).toMatchObject({
        firstOffset: "0",
        lastOffsetDelta: records.length - 1,
        firstTimestamp: String(records[0]?.timestampMs),
        maxTimestamp: String(Math.max(...records.map(({ timestampMs }) => timestampMs))),
        partitionLeaderEpoch: -1,
        producerId: "-1",
        producerEpoch: -1,
        firstSequence: -1,
        inTransaction: false,
        isControlBatch: false,
      });
      const plain = (given: Uint8Array | null): string | null => (given === null ? null : Buffer.from(given).toString("hex"));
      expect(
        read.records.map(({ key, value, offset, timestamp, headers }) => ({
          key: plain(key),
          value: plain(value),
          offset,
          timestamp,
          headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, text.toString()])),
        })),
      ).toEqual(
        records.map(({ key, value, timestampMs, headers }, place) => ({
          key: plain(key),
          value: plain(value),
          offset: String(place),
          timestamp: String(timestampMs),
          headers: Object.fromEntries(headers),
        })),
      );
    }),
    { numRuns: 300 },
  );
});
