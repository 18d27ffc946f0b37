/** Cuts what goes to one partition into sends, each small enough for any broker to take whole. */
import type { KafkaRecord } from "./producer-client.ts";

export const recordsMax = 500;
export const batchBytesMax = 524_288;

/** Of a record batch's header, and of each record and header: lengths at their longest. */
const batchOverhead = 61;
const recordOverhead = 36;
const headerOverhead = 10;

/** No fewer bytes than the record takes in an uncompressed batch. */
export function recordBytes({ key, value, headers }: KafkaRecord): number {
  let bytes = recordOverhead + (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
  for (const [name, text] of headers) bytes += headerOverhead + Buffer.byteLength(name) + Buffer.byteLength(text);
  return bytes;
}

/** In order, at most 500 records and 512 KiB each. A record that is larger by itself goes alone. */
export function cutIntoBatches<Item extends { readonly record: KafkaRecord }>(items: readonly Item[]): readonly (readonly Item[])[] {
  const batches: Item[][] = [];
  let batch: Item[] = [];
  let bytes = batchOverhead;
  for (const item of items) {
    const more = recordBytes(item.record);
    if (batch.length > 0 && (batch.length >= recordsMax || bytes + more > batchBytesMax)) {
      batches.push(batch);
      batch = [];
      bytes = batchOverhead;
    }
    batch.push(item);
    bytes += more;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
