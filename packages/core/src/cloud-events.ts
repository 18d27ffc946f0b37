/**
 * Our envelope as CloudEvents 1.0 attributes, and back. The transports decide how an attribute travels (HTTP: `ce-` headers,
 * percent-encoded; Kafka: `ce_` headers); this file decides which attributes there are.
 *
 *     id ← id                source ← stored header ce-source     type ← type        time ← createdAtMs
 *     partitionkey ← key     topic ← topic                        sequence ← sequence (topic and sequence are extensions of ours)
 *     datacontenttype ← header content-type; traceparent, tracestate and baggage stay headers of their own
 */
import { keyProblem, sourceProblem, topicProblem, typeProblem } from "./grammar.ts";
import { sourceHeader } from "./headers.ts";
import type { OutgoingMessage, ReceivedMessage } from "./message.ts";
import { isMessageId } from "./message-id.ts";

/** Attribute names without prefix, values as text. */
export type CloudEventAttributes = Readonly<Record<string, string>>;

const defaultSource = "/";

/** What RFC 3339 can write: the years 0 to 9999. A row that somebody inserted by hand may have any time, and still has to go out. */
const timeMsMin = -62_167_219_200_000;
const timeMsMax = 253_402_300_799_999;

/**
 * The attributes of an outgoing message, `datacontenttype` not among them: that is the header `content-type`. A time that RFC 3339
 * cannot write becomes the nearest that it can.
 */
export function toCloudEvent(message: OutgoingMessage): CloudEventAttributes {
  return {
    specversion: "1.0",
    id: message.id,
    source: message.headers.get(sourceHeader) ?? defaultSource,
    type: message.type,
    time: new Date(Math.min(Math.max(message.createdAtMs, timeMsMin), timeMsMax)).toISOString(),
    topic: message.topic,
    sequence: String(message.sequence),
    ...(message.key === null ? {} : { partitionkey: message.key }),
  };
}

/** The attribute that keeps a received message from being stored and compared. */
export type CloudEventProblem = "specversion" | "id" | "type" | "source" | "time" | "topic" | "partitionkey";

/** RFC 3339, as CloudEvents asks. `Date.parse` alone reads dates into almost anything. */
const timePattern = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

const sequenceMax = 2n ** 63n - 1n;

/**
 * A received message from CloudEvents attributes, or the first attribute that is missing or malformed. `headers` are the others,
 * under their own names; the source joins them as it was stored. A `sequence` that is no position of a ledger is read as null:
 * others use that extension their own way.
 */
export function fromCloudEvent(
  attributes: Readonly<Record<string, string | undefined>>,
  headers: ReadonlyMap<string, string>,
  payload: Uint8Array | null,
): { readonly message: ReceivedMessage } | { readonly problem: CloudEventProblem } {
  const { id, type, source, time, topic, partitionkey } = attributes;
  if (attributes["specversion"] !== "1.0") return { problem: "specversion" };
  if (id === undefined || !isMessageId(id)) return { problem: "id" };
  if (type === undefined || typeProblem(type) !== null) return { problem: "type" };
  if (source === undefined || sourceProblem(source) !== null) return { problem: "source" };
  if (topic !== undefined && topicProblem(topic) !== null) return { problem: "topic" };
  if (partitionkey !== undefined && keyProblem(partitionkey) !== null) return { problem: "partitionkey" };
  const createdAtMs = timeOf(time);
  if (Number.isNaN(createdAtMs)) return { problem: "time" };
  const message: ReceivedMessage = {
    id,
    type,
    topic: topic ?? null,
    key: partitionkey ?? null,
    headers: new Map([...headers, [sourceHeader, source]]),
    payload,
    sequence: sequenceOf(attributes["sequence"]),
    createdAtMs,
  };
  return { message };
}

/** Milliseconds since 1970; null: there is no time. NaN: it is none. */
export function timeOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  return timePattern.test(text) ? Date.parse(text) : Number.NaN;
}

/** A position of a ledger; null: there is none, or it is none of ours. */
export function sequenceOf(text: string | undefined): bigint | null {
  if (text === undefined || !/^[0-9]{1,19}$/.test(text)) return null;
  const sequence = BigInt(text);
  return sequence <= sequenceMax ? sequence : null;
}
