/** Numbers, texts and record batches as Kafka's protocol has them before its "flexible" versions, as far as the fake broker needs them. */
import type { FakeKafkaRecord } from "./fake-kafka.ts";

export interface KafkaWriter {
  int8(value: number): KafkaWriter;
  int16(value: number): KafkaWriter;
  int32(value: number): KafkaWriter;
  int64(value: bigint): KafkaWriter;
  string(value: string | null): KafkaWriter;
  array<Item>(items: readonly Item[], each: (writer: KafkaWriter, item: Item) => unknown): KafkaWriter;
  bytes(): Buffer;
}

export function kafkaWriter(): KafkaWriter {
  const parts: Buffer[] = [];
  const put = (length: number, write: (buffer: Buffer) => unknown): KafkaWriter => {
    const buffer = Buffer.alloc(length);
    write(buffer);
    parts.push(buffer);
    return writer;
  };
  const writer: KafkaWriter = {
    int8: (value) => put(1, (buffer) => buffer.writeInt8(value)),
    int16: (value) => put(2, (buffer) => buffer.writeInt16BE(value)),
    int32: (value) => put(4, (buffer) => buffer.writeInt32BE(value)),
    int64: (value) => put(8, (buffer) => buffer.writeBigInt64BE(value)),
    string(value) {
      if (value === null) return writer.int16(-1);
      const text = Buffer.from(value, "utf8");
      writer.int16(text.length);
      return put(text.length, (buffer) => text.copy(buffer));
    },
    array(items, each) {
      writer.int32(items.length);
      for (const item of items) each(writer, item);
      return writer;
    },
    bytes: () => Buffer.concat(parts),
  };
  return writer;
}

export interface KafkaReader {
  int16(): number;
  int32(): number;
  string(): string | null;
  /** A length in bytes, and behind it one batch of format 2. */
  recordBatch(): { readonly producerId: bigint; readonly records: readonly FakeKafkaRecord[] };
  rest(): Buffer;
}

/** Of a batch of format 2: everything before its records' number. */
const batchHeaderBytes = 57;
const compressionMask = 7;

export function kafkaReader(buffer: Buffer): KafkaReader {
  let at = 0;
  const take = (length: number): Buffer => {
    if (length < 0 || at + length > buffer.length) throw new RangeError("the request is shorter than it says");
    at += length;
    return buffer.subarray(at - length, at);
  };
  /** Zigzag, up to 64 bits. */
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = take(1).readUInt8(0);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return (value >> 1n) ^ -(value & 1n);
    }
  };
  const varBytes = (): Buffer | null => {
    const length = Number(varint());
    return length < 0 ? null : take(length);
  };
  const reader: KafkaReader = {
    int16: () => take(2).readInt16BE(0),
    int32: () => take(4).readInt32BE(0),
    string() {
      const length = reader.int16();
      return length < 0 ? null : take(length).toString("utf8");
    },
    recordBatch() {
      reader.int32();
      const header = take(batchHeaderBytes);
      if (header.readInt8(16) !== 2 || (header.readInt16BE(21) & compressionMask) !== 0)
        throw new Error("the fake Kafka reads uncompressed batches of format 2 only");
      const firstTimestamp = header.readBigInt64BE(27);
      const records: FakeKafkaRecord[] = [];
      for (let left = reader.int32(); left > 0; left -= 1) {
        varint(); // length
        take(1); // attributes
        const timestampMs = Number(firstTimestamp + varint());
        varint(); // offset
        const key = varBytes();
        const value = varBytes();
        const headers = new Map<string, string>();
        for (let headersLeft = Number(varint()); headersLeft > 0; headersLeft -= 1) {
          const name = varBytes()?.toString("utf8") ?? "";
          headers.set(name, varBytes()?.toString("utf8") ?? "");
        }
        records.push({ key: key?.toString("utf8") ?? null, value, headers, timestampMs });
      }
      return { producerId: header.readBigInt64BE(43), records };
    },
    rest: () => buffer.subarray(at),
  };
  return reader;
}
