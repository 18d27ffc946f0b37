/**
 * Our envelope as CloudEvents 1.0 attributes, and back. The transports decide how an attribute travels (HTTP: `ce-` headers,
 * percent-encoded; Kafka: `ce_` headers); this file decides which attributes there are.
 *
 *     id ← id                source ← stored header ce-source     type ← type        time ← createdAtMs
 *     partitionkey ← key     topic ← topic                        sequence ← sequence (both extensions of ours but partitionkey)
 *     datacontenttype ← header content-type; traceparent, tracestate and baggage stay headers of their own
 */
import { sourceHeader } from "./headers.ts";
import type { OutgoingMessage, ReceivedMessage } from "./message.ts";
import { isMessageId } from "./message-id.ts";

/** Attribute names without prefix, values as text. */
export type CloudEventAttributes = Readonly<Record<string, string>>;

const defaultSource = "/";

/** The attributes of an outgoing message, `datacontenttype` not among them: that is the header `content-type`. */
export function toCloudEvent(message: OutgoingMessage): CloudEventAttributes {
  return {
    specversion: "1.0",
    id: message.id,
    source: message.headers.get(sourceHeader) ?? defaultSource,
    type: message.type,
    time: new Date(message.createdAtMs).toISOString(),
    topic: message.topic,
    sequence: String(message.sequence),
    ...(message.key === null ? {} : { partitionkey: message.key }),
  };
}

/** The rule that received attributes break: the ids and names a receiver cannot work without. */
export type CloudEventProblem = "specversion" | "id" | "type" | "source" | "time" | "sequence";

/**
 * A received message from CloudEvents attributes, or the first attribute that is missing or malformed. `headers` are the others,
 * under their own names; the source joins them as it was stored.
 */
export function fromCloudEvent(
  attributes: Readonly<Record<string, string | undefined>>,
  headers: ReadonlyMap<string, string>,
  payload: Uint8Array | null,
): { readonly message: ReceivedMessage } | { readonly problem: CloudEventProblem } {
  const { id, type, source, time, sequence } = attributes;
  if (attributes["specversion"] !== "1.0") return { problem: "specversion" };
  if (id === undefined || !isMessageId(id)) return { problem: "id" };
  if (type === undefined || type === "") return { problem: "type" };
  if (source === undefined || source === "") return { problem: "source" };
  const createdAtMs = time === undefined ? null : Date.parse(time);
  if (createdAtMs !== null && !Number.isFinite(createdAtMs)) return { problem: "time" };
  if (sequence !== undefined && !/^[0-9]{1,19}$/.test(sequence)) return { problem: "sequence" };
  const message: ReceivedMessage = {
    id,
    type,
    topic: attributes["topic"] ?? null,
    key: attributes["partitionkey"] ?? null,
    headers: new Map([...headers, [sourceHeader, source]]),
    payload,
    sequence: sequence === undefined ? null : BigInt(sequence),
    createdAtMs,
  };
  return { message };
}
