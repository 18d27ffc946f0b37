/**
 * Reads where a Produce request goes, from the bytes as they are about to leave: the one place at which it is certain whether a send
 * was written. The library's own account of that is not to be had: its errors say what failed last, not how far it came.
 *
 * It is also where the records come in. The library is given one empty record to send, and what leaves in its place is the batch that
 * we made: the library takes four times as long to make one.
 *
 *     size int32 · api key int16 = 0 · version int16 · correlation int32 · client id string
 *     transactional id string · acks int16 · timeout int32 · [topic string · [partition int32 · size int32 · record batch]]
 *
 * Versions 3 to 8 look like this; kafkajs speaks up to 7. Before 3 there are no record batches and no headers, and from 9 on lengths are
 * encoded differently: "unreadable".
 */
export type ProduceFrame =
  /** `recordsAt`: where the size of its records stands, behind which there is nothing else. */
  | { readonly kind: "produce"; readonly topic: string; readonly partition: number; readonly recordsAt: number }
  /** It is a Produce request, but not one that names exactly one partition, or not in a form that is known here. */
  | { readonly kind: "unreadable" }
  | { readonly kind: "other" };

const produceKey = 0;
const [versionMin, versionMax] = [3, 8];
const other: ProduceFrame = { kind: "other" };
const unreadable: ProduceFrame = { kind: "unreadable" };

export function readProduceFrame(frame: Uint8Array): ProduceFrame {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  // A frame is one request, whole. What is none – a bare token of an old authentication – has another length than it says.
  if (bytes.length < 14 || bytes.readInt32BE(0) !== bytes.length - 4 || bytes.readInt16BE(4) !== produceKey) return other;
  const version = bytes.readInt16BE(6);
  if (version < versionMin || version > versionMax) return unreadable;
  try {
    let at = 12;
    const skipText = (): void => {
      at += 2 + Math.max(0, bytes.readInt16BE(at));
    };
    skipText(); // client id
    skipText(); // transactional id
    at += 6; // acks, timeout
    if (bytes.readInt32BE(at) !== 1) return unreadable;
    const topicLength = bytes.readInt16BE(at + 4);
    const topic = bytes.toString("utf8", at + 6, at + 6 + topicLength);
    at += 6 + topicLength;
    if (bytes.readInt32BE(at) !== 1) return unreadable;
    const recordsAt = at + 8;
    if (recordsAt + 4 + bytes.readInt32BE(recordsAt) !== bytes.length) return unreadable;
    return { kind: "produce", topic, partition: bytes.readInt32BE(at + 4), recordsAt };
  } catch {
    return unreadable; // shorter than it says
  }
}

/** The same request with these records instead of its own. */
export function withRecords(frame: Uint8Array, recordsAt: number, batch: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafeSlow(recordsAt + 4 + batch.byteLength);
  bytes.set(frame.subarray(0, recordsAt));
  bytes.writeInt32BE(bytes.length - 4, 0);
  bytes.writeInt32BE(batch.byteLength, recordsAt);
  bytes.set(batch, recordsAt + 4);
  return bytes;
}
