/**
 * A record batch, and a Produce request that carries one, written into one piece of memory.
 *
 * The libraries make a small buffer of every number and join them all in the end, which took most of a send's time. What is written here
 * is fixed by the protocol: record batch format 2, no compression, no producer id, no transaction.
 */
import { recordBytes } from "./batches.ts";
import type { KafkaBatch, KafkaRecord } from "./producer-client.ts";

export type Checksum = (bytes: Uint8Array) => number;

/** Bytes of a batch before its records: offset, length, leader epoch, magic, checksum, and from `attributes` on what the checksum covers. */
const place = { length: 8, leaderEpoch: 12, magic: 16, checksum: 17, attributes: 21, records: 61 } as const;
const magic = 2;

/** acks = all. `timeoutMs`: what the leader may take for its replicas. */
export function produceRequest({ topic, partition, records }: KafkaBatch, timeoutMs: number, checksum: Checksum): Buffer {
  const name = Buffer.from(topic, "utf8");
  const head = Buffer.alloc(2 + 2 + 4 + 4 + 2 + name.length + 4 + 4 + 4);
  let at = head.writeInt16BE(-1, 0); // no transaction
  at = head.writeInt16BE(-1, at); // acks
  at = head.writeInt32BE(timeoutMs, at);
  at = head.writeInt32BE(1, at); // topics
  at = head.writeInt16BE(name.length, at);
  at += name.copy(head, at);
  at = head.writeInt32BE(1, at); // partitions
  at = head.writeInt32BE(partition, at);
  const batch = recordBatch(records, checksum);
  head.writeInt32BE(batch.length, at);
  return Buffer.concat([head, batch]);
}

/** At least one record. */
export function recordBatch(records: readonly KafkaRecord[], checksum: Checksum): Buffer {
  let bytesMax: number = place.records;
  let maxMs = 0;
  for (const record of records) {
    bytesMax += recordBytes(record);
    maxMs = Math.max(maxMs, record.timestampMs);
  }
  const firstMs = records[0]?.timestampMs ?? 0;
  const bytes = Buffer.allocUnsafe(bytesMax);
  let at: number = place.records;
  for (const [delta, record] of records.entries()) at = writeRecord(bytes, at, record, delta, firstMs);
  const batch = bytes.subarray(0, at);
  batch.writeBigInt64BE(0n, 0); // its offset is the leader's to give
  batch.writeInt32BE(at - place.leaderEpoch, place.length);
  batch.writeInt32BE(-1, place.leaderEpoch);
  batch.writeInt8(magic, place.magic);
  let field = batch.writeInt16BE(0, place.attributes);
  field = batch.writeInt32BE(records.length - 1, field);
  field = batch.writeBigInt64BE(BigInt(firstMs), field);
  field = batch.writeBigInt64BE(BigInt(maxMs), field);
  field = batch.writeBigInt64BE(-1n, field); // producer id
  field = batch.writeInt16BE(-1, field); // its epoch
  field = batch.writeInt32BE(-1, field); // its sequence
  batch.writeInt32BE(records.length, field);
  batch.writeUInt32BE(checksum(batch.subarray(place.attributes)), place.checksum);
  return batch;
}

function writeRecord(
  bytes: Buffer,
  from: number,
  { key, value, headers, timestampMs }: KafkaRecord,
  delta: number,
  firstMs: number,
): number {
  // The record's length stands before it, and how many bytes that takes is known when it is written: five are left free.
  const start = from + 5;
  let at = bytes.writeInt8(0, start); // attributes
  at = writeVarInt(bytes, at, timestampMs - firstMs);
  at = writeVarInt(bytes, at, delta);
  at = writeBytes(bytes, at, key);
  at = writeBytes(bytes, at, value);
  at = writeVarInt(bytes, at, headers.size);
  for (const [name, text] of headers) at = writeText(bytes, writeText(bytes, at, name), text);
  const end = writeVarInt(bytes, from, at - start);
  bytes.copyWithin(end, start, at);
  return end + at - start;
}

function writeBytes(bytes: Buffer, from: number, value: Uint8Array | null): number {
  if (value === null) return writeVarInt(bytes, from, -1);
  const at = writeVarInt(bytes, from, value.byteLength);
  bytes.set(value, at);
  return at + value.byteLength;
}

function writeText(bytes: Buffer, from: number, text: string): number {
  const at = writeVarInt(bytes, from, Buffer.byteLength(text));
  return at + bytes.write(text, at, "utf8");
}

/** Signed, seven bits a byte, the sign in the lowest bit. By arithmetic: differences of times do not fit into 32 bits, nor doubled into a double. */
function writeVarInt(bytes: Buffer, from: number, value: number): number {
  const sign = value < 0 ? 1 : 0;
  const magnitude = value < 0 ? -value - 1 : value;
  let low = (magnitude % 64) * 2 + sign;
  let left = Math.floor(magnitude / 64);
  let at = from;
  for (; left > 0; left = Math.floor(left / 128)) {
    bytes[at] = low + 128;
    low = left % 128;
    at += 1;
  }
  bytes[at] = low;
  return at + 1;
}
