/**
 * A message as the bytes of `basic.publish`: method, header and body frame, one behind the other.
 *
 *     1 channel size │ class method ticket exchange routingKey mandatory │ 206     the same for every message of a routing key
 *     2 channel size │ class 0 bodySize flags contentType                          \
 *                    │ headers: ours, specversion, source, type, topic │           / the same for most messages of a type
 *                    │          id, time, sequence, partitionkey       │ persistent messageId timestamp type │ 206
 *     3 channel size │ payload                                         │ 206
 *
 * The driver makes all of it anew for each message, out of an object with the message's headers, and that costs more than everything
 * else we do for a message. What messages of a type have in common is kept here as bytes. What is sent is the same, as `toPublish` says.
 */
import { type OutgoingMessage, toCloudEvent } from "@waybill/core";
import { attributePrefix, toPublish } from "./binary-mode.ts";

export interface PublishFrames {
  /**
   * At most so many bytes `write` needs for the message; null: it is none for us, and the driver shall say what is wrong with it.
   */
  bytesMax(message: OutgoingMessage, routingKey: string): number | null;
  /** Writes the message that `bytesMax` was asked about just before. Answers where it ends; null: as above, and nothing counts as written. */
  write(bytes: Buffer, at: number): number | null;
}

/** What messages of a type and with the same headers have in common. */
interface Envelope {
  readonly topic: string;
  /** What `head` was made from: a map that somebody wrote to since is found out. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly flags: number;
  /** Content type and headers, from the length of their table on. */
  readonly head: Buffer;
  /** Where in `head` the table begins with its length. */
  readonly tableAt: number;
  /** The type, and what ends a frame. */
  readonly tail: Buffer;
}

/** Attributes that messages of a type share; every other one is written for each message. */
const sharedAttributes: ReadonlySet<string> = new Set(["specversion", "source", "type", "topic"]);

const flags = { contentType: 0x8000, headers: 0x2000, deliveryMode: 0x1000, messageId: 0x0080, timestamp: 0x0040, type: 0x0020 } as const;
const frameEnd = 206;
const [methodFrame, headerFrame, bodyFrame] = [1, 2, 3];
const [basicClass, publishMethod] = [60, 40];
const persistent = 2;
const shortBytesMax = 255;
/** Of frames, fixed fields and lengths, more than there are. */
const overheadBytes = 128;
/** Kept at a time, of all types together: services have a handful, but headers that differ with every message come in any number. */
const envelopesMax = 256;
const routingKeysMax = 1_024;

/** For one channel, and what is published on it to one exchange. */
export function publishFrames(channel: number, exchange: string): PublishFrames {
  const methods = new Map<string, Buffer>();
  const envelopes = new Map<string, Map<ReadonlyMap<string, string>, Envelope>>();
  let kept = 0;

  const methodOf = (routingKey: string): Buffer | null => {
    const known = methods.get(routingKey);
    if (known !== undefined) return known;
    const made = publishMethodFrame(channel, exchange, routingKey);
    if (made === null) return null;
    if (methods.size >= routingKeysMax) methods.clear();
    methods.set(routingKey, made);
    return made;
  };

  const envelopeOf = (message: OutgoingMessage): Envelope | null => {
    const known = envelopes.get(message.type)?.get(message.headers);
    if (known !== undefined && isOf(known, message)) return known;
    const made = envelope(message);
    if (made === null) return null;
    if (kept >= envelopesMax) {
      envelopes.clear();
      kept = 0;
    }
    kept += 1;
    const ofType = envelopes.get(message.type);
    if (ofType === undefined) envelopes.set(message.type, new Map([[message.headers, made]]));
    else ofType.set(message.headers, made);
    return made;
  };

  let next: { readonly message: OutgoingMessage; readonly method: Buffer; readonly envelope: Envelope } | null = null;

  return {
    bytesMax(message, routingKey) {
      next = null;
      if (message.id.length > shortBytesMax || !(Math.abs(message.createdAtMs) <= Number.MAX_SAFE_INTEGER)) return null;
      if (message.payload?.byteLength === 0) return null; // it has a header more
      const method = methodOf(routingKey);
      if (method === null) return null;
      const shared = envelopeOf(message);
      if (shared === null) return null;
      next = { message, method, envelope: shared };
      const texts = 3 * (2 * message.id.length + (message.key?.length ?? 0)) + 256;
      return overheadBytes + method.length + shared.head.length + shared.tail.length + texts + (message.payload?.byteLength ?? 0);
    },
    write(bytes, from) {
      if (next === null) return null;
      const { message, method, envelope } = next;
      const { payload } = message;
      const size = payload?.byteLength ?? 0;
      bytes.set(method, from);
      const header = from + method.length;
      let at = writeFrameHead(bytes, header, headerFrame, channel);
      at = bytes.writeUInt32BE(basicClass << 16, at); // and a weight of 0
      at = bytes.writeUInt32BE(0, at);
      at = bytes.writeUInt32BE(size, at);
      at = bytes.writeUInt16BE(envelope.flags, at);
      bytes.set(envelope.head, at);
      const table = at + envelope.tableAt;
      at += envelope.head.length;
      const attributes = toCloudEvent(message);
      for (const name in attributes) {
        if (!sharedAttributes.has(name)) at = writeEntry(bytes, at, attributePrefix + name, attributes[name] ?? "");
      }
      bytes.writeUInt32BE(at - table - 4, table);
      bytes[at] = persistent;
      const idAt = at + 1;
      at = idAt + 1 + bytes.write(message.id, idAt + 1);
      if (at - idAt - 1 > shortBytesMax) return null;
      bytes[idAt] = at - idAt - 1;
      const seconds = Math.max(0, Math.floor(message.createdAtMs / 1_000));
      at = bytes.writeUInt32BE(Math.floor(seconds / 2 ** 32), at);
      at = bytes.writeUInt32BE(seconds % 2 ** 32, at);
      bytes.set(envelope.tail, at);
      at += envelope.tail.length;
      bytes.writeUInt32BE(at - header - 8, header + 3);
      if (payload === null || size === 0) return at;
      const body = at;
      at = writeFrameHead(bytes, body, bodyFrame, channel);
      bytes.writeUInt32BE(size, body + 3);
      bytes.set(payload, at);
      bytes[at + size] = frameEnd;
      return at + size + 1;
    },
  };
}

/** Its length is still to be written, three bytes behind its beginning. */
function writeFrameHead(bytes: Buffer, at: number, type: number, channel: number): number {
  bytes[at] = type;
  bytes[at + 1] = channel >> 8;
  bytes[at + 2] = channel & 255;
  return at + 7;
}

function publishMethodFrame(channel: number, exchange: string, routingKey: string): Buffer | null {
  if (Buffer.byteLength(exchange) > shortBytesMax || Buffer.byteLength(routingKey) > shortBytesMax) return null;
  const bytes = Buffer.alloc(1_024);
  let at = writeFrameHead(bytes, 0, methodFrame, channel);
  at = bytes.writeUInt16BE(basicClass, at);
  at = bytes.writeUInt16BE(publishMethod, at);
  at = bytes.writeUInt16BE(0, at);
  at = writeShort(bytes, at, exchange);
  at = writeShort(bytes, at, routingKey);
  bytes[at] = 1; // mandatory: else the broker acks what no queue takes (A1)
  bytes.writeUInt32BE(at - 6, 3);
  bytes[at + 1] = frameEnd;
  return bytes.subarray(0, at + 2);
}

/** Null: the driver shall say why this is no message of the protocol's. */
function envelope(message: OutgoingMessage): Envelope | null {
  const made = toPublish(message);
  if ("problem" in made) return null;
  const { contentType, type, headers } = made.options;
  if (Buffer.byteLength(type) > shortBytesMax || Buffer.byteLength(contentType ?? "") > shortBytesMax) return null;
  const shared = Object.entries(headers).filter(([name]) => isShared(name)) as [string, string][];
  const bytesMax = shared.reduce((sum, [name, value]) => sum + 3 * (name.length + value.length) + 6, 1_024);
  const head = Buffer.alloc(bytesMax);
  const tableAt = contentType === undefined ? 0 : writeShort(head, 0, contentType);
  let at = tableAt + 4;
  for (const [name, value] of shared) at = writeEntry(head, at, name, value);
  const tail = Buffer.alloc(1 + shortBytesMax + 1);
  const end = writeShort(tail, 0, type);
  tail[end] = frameEnd;
  const common = flags.headers | flags.deliveryMode | flags.messageId | flags.timestamp | flags.type;
  return {
    topic: message.topic,
    headers: [...message.headers],
    flags: common | (contentType === undefined ? 0 : flags.contentType),
    head: Buffer.from(head.subarray(0, at)), // no larger than it is: it may be kept for long
    tableAt,
    tail: tail.subarray(0, end + 1),
  };
}

const isShared = (name: string): boolean => !name.startsWith(attributePrefix) || sharedAttributes.has(name.slice(attributePrefix.length));

function isOf({ topic, headers }: Envelope, message: OutgoingMessage): boolean {
  if (topic !== message.topic || headers.length !== message.headers.size) return false;
  for (const [name, value] of headers) if (message.headers.get(name) !== value) return false;
  return true;
}

function writeShort(bytes: Buffer, at: number, text: string): number {
  const length = bytes.write(text, at + 1);
  bytes[at] = length;
  return at + 1 + length;
}

/** A header of text. */
function writeEntry(bytes: Buffer, from: number, name: string, value: string): number {
  const at = writeShort(bytes, from, name);
  bytes[at] = 0x53; // S: text with a long length
  const length = bytes.write(value, at + 5);
  bytes.writeUInt32BE(length, at + 1);
  return at + 5 + length;
}
