/**
 * A record as a message: CloudEvents 1.0 over Kafka.
 *
 *     binary       ce_id, ce_type, ce_source, … are the envelope, the value is the payload
 *     structured   content-type application/cloudevents+json: the value is both
 *     neither      a stranger's record: no id, no type; the inbox puts it aside with its value
 *
 * What the record says itself – topic, key, time – stands in for what the envelope leaves out. Whatever a record holds makes a message:
 * one that cannot be read must not stop those behind it.
 */
import { createHash } from "node:crypto";
import { keyProblem, limits, type ReceivedMessage, receivedMessage } from "@waybill/core";
import type { ConsumedRecord } from "./consumer-client.ts";
import type { BufferedRecord } from "./partition-buffer.ts";
import { isStructured, readStructured } from "./structured-mode.ts";

const attributePrefix = "ce_";

/** What a record costs beside its bytes, as far as we know: objects, a map of headers, places in lists. */
const recordOverheadBytes = 1_024;

export function receivedRecord(record: ConsumedRecord, topic: string): BufferedRecord {
  return { offset: record.offset, message: messageOf(record, topic), bytes: bytesOf(record) };
}

function messageOf(record: ConsumedRecord, topic: string): ReceivedMessage {
  const headers = new Map<string, string>();
  const attributes = new Map<string, string>();
  for (const [name, value] of record.headers) {
    const text = value === null ? null : textOf(value);
    if (text === null) continue;
    // A name may repeat; Kafka's own clients read the last one.
    if (name.startsWith(attributePrefix)) attributes.set(name.slice(attributePrefix.length), text);
    else headers.set(name, text);
  }
  const otherwise = { topic, key: keyOf(record.key), createdAtMs: record.timestampMs >= 0 ? record.timestampMs : null };
  const structured = record.value !== null && isStructured(headers.get("content-type")) ? readStructured(record.value) : null;
  if (structured === null) return receivedMessage({ attributes, headers, payload: record.value, otherwise });
  headers.delete("content-type");
  if (structured.contentType !== null) headers.set("content-type", structured.contentType);
  return receivedMessage({ attributes: structured.attributes, headers, payload: structured.payload, otherwise });
}

/**
 * A record's key as ours, so that strangers' records keep their order, too: text where it is text, else its bytes in hexadecimal, or the
 * hash of one that is too long.
 */
function keyOf(key: Uint8Array | null): string | null {
  if (key === null || key.byteLength === 0) return null;
  const text = textOf(key);
  if (text !== null && keyProblem(text) === null) return text;
  const hex = `0x${Buffer.from(key).toString("hex")}`;
  return hex.length <= limits.keyBytesMax ? hex : `sha256:${createHash("sha256").update(key).digest("hex")}`;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}

function bytesOf({ key, value, headers }: ConsumedRecord): number {
  let bytes = recordOverheadBytes + (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
  for (const [name, of] of headers) bytes += name.length + (of?.byteLength ?? 0);
  return bytes;
}
