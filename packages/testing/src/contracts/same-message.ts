import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { OutgoingMessage, ReceivedMessage } from "@waybill/core";

/** What a way of transport carries besides id, type, key, headers and payload. */
export interface CarriedFields {
  /** Default true. False: the topic is implied by where a message is sent, and arrives as null or as something else. */
  readonly topic?: boolean;
  /** Default true. */
  readonly sequence?: boolean;
  /** Default true: to the millisecond. */
  readonly createdAt?: boolean;
  /** Default true. False: a tombstone and an empty payload look the same to the receiver. */
  readonly tombstone?: boolean;
}

/** Asserts that a message arrived unchanged: every byte of the payload, every header and nothing beside them. */
export function assertSameMessage(received: ReceivedMessage | undefined, sent: OutgoingMessage, carries: CarriedFields = {}): void {
  if (received === undefined) throw new Error(`Message ${sent.id} did not arrive.`);
  strictEqual(received.id, sent.id, "the id");
  strictEqual(received.type, sent.type, "the type");
  strictEqual(received.key, sent.key, "the key");
  if (carries.topic !== false) strictEqual(received.topic, sent.topic, "the topic");
  if (carries.sequence !== false) strictEqual(received.sequence, sent.sequence, "the sequence");
  if (carries.createdAt !== false) strictEqual(received.createdAtMs, sent.createdAtMs, "the record time");
  deepStrictEqual(sortedEntries(received.headers), sortedEntries(sent.headers), "the headers");
  const keepsNull = carries.tombstone !== false || (sent.payload !== null && sent.payload.byteLength > 0);
  strictEqual(hexOf(received.payload, keepsNull), hexOf(sent.payload, keepsNull), "the payload");
}

function sortedEntries(headers: ReadonlyMap<string, string>): readonly (readonly [string, string])[] {
  return [...headers].sort(([one], [other]) => (one < other ? -1 : 1));
}

function hexOf(payload: Uint8Array | null, keepsNull: boolean): string | null {
  if (payload === null) return keepsNull ? null : "";
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("hex");
}
