/**
 * A message over AMQP 0-9-1, and back. The body is the stored bytes; the envelope travels twice, so that both kinds of reader find it:
 *
 *     properties   messageId, type, contentType as stored, timestamp in seconds, persistent
 *     headers      cloudEvents_id, cloudEvents_source, cloudEvents_type, cloudEvents_specversion, cloudEvents_time, and our extensions
 *                  cloudEvents_topic, cloudEvents_sequence, cloudEvents_partitionkey: the names that the CloudEvents binding for AMQP 1.0
 *                  gives application properties, which over 0-9-1 is a convention
 *                  the message's own headers under their own names, traceparent, tracestate and baggage among them, all as text
 *                  waybill-payload: empty       no bytes at all, yet no tombstone: AMQP cannot tell them apart
 */
import {
  type CloudEventProblem,
  fromCloudEvent,
  isWaybillError,
  type OutgoingMessage,
  type ReceivedMessage,
  sourceHeader,
  toCloudEvent,
  validateHeaders,
} from "@waybill/core";
import type { DriverProperties, DriverPublishOptions } from "./driver.ts";

const attributePrefix = "cloudEvents_";
/** The binding's other spelling, which some writers use. */
const colonPrefix = "cloudEvents:";
const emptyPayloadHeader = "waybill-payload";

/** What a message is published as, or the reason why it cannot be. Never throws: a batch has other messages. */
export function toPublish(
  message: OutgoingMessage,
):
  | { readonly content: Buffer; readonly options: DriverPublishOptions }
  | { readonly problem: "headersInvalid" | "messageInvalid"; readonly cause: unknown } {
  try {
    // Another language may have inserted the row: what belongs to the broker or to us must not come from its headers.
    const { "content-type": contentType, [sourceHeader]: _, ...own } = Object.fromEntries(message.headers);
    const headers: Record<string, string> = Object.fromEntries(validateHeaders(own));
    for (const [name, value] of Object.entries(toCloudEvent(message))) headers[`${attributePrefix}${name}`] = value;
    if (message.payload?.byteLength === 0) headers[emptyPayloadHeader] = "empty";
    const { payload } = message;
    return {
      content: payload === null ? Buffer.alloc(0) : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
      options: {
        mandatory: true, // else the broker acks what no queue takes (A1)
        persistent: true,
        messageId: message.id,
        type: message.type,
        ...(contentType === undefined ? {} : { contentType }),
        timestamp: Math.max(0, Math.floor(message.createdAtMs / 1_000)),
        headers,
      },
    };
  } catch (error) {
    return { problem: isWaybillError(error, "WAYBILL_HEADERS_INVALID") ? "headersInvalid" : "messageInvalid", cause: error };
  }
}

const ourAttributes: ReadonlySet<string> = new Set(["specversion", "id", "source", "type", "time", "topic", "sequence", "partitionkey"]);

/** What RabbitMQ itself writes into headers on the way; no part of the message. */
const brokersHeaders = /^(x-death|x-delivery-count|x-acquired-count|x-opt-.*|x-(first|last)-death-.*|CC|BCC)$/;

/**
 * The message that a delivery carries, or the first attribute that is missing or malformed. One without CloudEvents headers is read
 * from its properties: the id is `messageId`, the type `type`, the source `appId` or else `/`.
 */
export function fromDelivery(
  properties: DriverProperties,
  content: Buffer,
): { readonly message: ReceivedMessage } | { readonly problem: CloudEventProblem } {
  const attributes: Record<string, string> = {};
  const own = new Map<string, string>();
  const table = properties.headers ?? {};
  for (const [name, raw] of Object.entries(table)) {
    const value = textOf(raw);
    if (value === null || brokersHeaders.test(name)) continue;
    if (name.startsWith(attributePrefix) || name.startsWith(colonPrefix)) attributes[name.slice(attributePrefix.length)] = value;
    else keepOwnHeader(own, name, value);
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (!ourAttributes.has(name) && /^[a-z0-9]{1,60}$/.test(name) && !/\p{Cc}/u.test(value)) own.set(`ce-${name}`, value);
  }
  if (properties.contentType !== undefined) own.set("content-type", properties.contentType);
  const isTombstone = content.byteLength === 0 && table[emptyPayloadHeader] !== "empty";
  const read = "specversion" in attributes ? attributes : fromProperties(properties);
  return fromCloudEvent(read, own, isTombstone ? null : content);
}

function fromProperties({ messageId, type, timestamp, appId }: DriverProperties): Readonly<Record<string, string | undefined>> {
  const timeMs = typeof timestamp === "number" ? timestamp * 1_000 : Number.NaN;
  return {
    specversion: "1.0",
    id: messageId,
    type,
    source: appId === undefined || appId === "" ? "/" : appId,
    time: Number.isNaN(timeMs) || timeMs > timeMsMax ? undefined : new Date(timeMs).toISOString(),
  };
}

/** What RFC 3339 can write: up to the year 9999. */
const timeMsMax = 253_402_300_799_999;

/** Other publishers give numbers and truth values; what has no plain text is left out. */
function textOf(value: unknown): string | null {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" || typeof value === "bigint" ? String(value) : null;
}

/** Keeps a header that a message may have; the broker and other publishers write more. */
function keepOwnHeader(own: Map<string, string>, name: string, value: string): void {
  try {
    validateHeaders({ [name]: value });
    own.set(name, value);
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_HEADERS_INVALID")) throw error;
  }
}
