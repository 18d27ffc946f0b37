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
  isWaybillError,
  type OutgoingMessage,
  type ReceivedMessage,
  receivedMessage,
  sourceHeader,
  splitDeliveryHeaders,
  toCloudEvent,
  topicProblem,
  validateHeaders,
} from "@waybill/core";
import type { DriverDelivery, DriverProperties, DriverPublishOptions } from "./driver.ts";

export const attributePrefix = "cloudEvents_";
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
    const { delivery, own: others } = splitDeliveryHeaders(message.headers);
    const { "content-type": contentType, [sourceHeader]: _, ...own } = others;
    const headers: Record<string, string> = { ...Object.fromEntries(validateHeaders(own)), ...delivery };
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

/** What RabbitMQ itself writes into headers on the way; no part of the message. */
const brokersHeaders = /^(x-death|x-delivery-count|x-acquired-count|x-opt-.*|x-(first|last)-death-.*|CC|BCC)$/;

/**
 * The message that a delivery carries, whatever is in it: there is no sender left to refuse it to. What the envelope does not say is
 * read from the properties – the id from `messageId`, the type from `type`, the source from `appId` – and the topic from the exchange,
 * which is named like it by default.
 */
export function fromDelivery({ fields, properties, content }: DriverDelivery): ReceivedMessage {
  const attributes = new Map<string, string>();
  const headers: [name: string, value: string][] = [];
  const table = properties.headers ?? {};
  for (const [name, raw] of Object.entries(table)) {
    const value = textOf(raw);
    if (value === null || brokersHeaders.test(name)) continue;
    if (name.startsWith(attributePrefix) || name.startsWith(colonPrefix)) attributes.set(name.slice(attributePrefix.length), value);
    else headers.push([name.toLowerCase(), value]); // ours are lower case; those of other publishers often are not
  }
  if (properties.contentType !== undefined) headers.push(["content-type", properties.contentType]);
  const isTombstone = content.byteLength === 0 && !(Object.hasOwn(table, emptyPayloadHeader) && table[emptyPayloadHeader] === "empty");
  const { exchange } = fields;
  return receivedMessage({
    attributes: new Map([...fromProperties(properties, attributes.has("specversion")), ...attributes]),
    headers,
    payload: isTombstone ? null : content,
    otherwise: { topic: topicProblem(exchange) === null ? exchange : null, key: null, createdAtMs: timeOf(properties) },
  });
}

function* fromProperties({ messageId, type, appId }: DriverProperties, hasEnvelope: boolean): Generator<[string, string]> {
  if (messageId !== undefined) yield ["id", messageId];
  if (type !== undefined) yield ["type", type];
  if (hasEnvelope) return;
  yield ["specversion", "1.0"];
  yield ["source", appId === undefined || appId === "" ? "/" : appId];
}

/** The latest moment that a date can be, in seconds: a publisher may have written milliseconds. */
const timestampMax = 8_640_000_000_000;

function timeOf({ timestamp }: DriverProperties): number | null {
  return typeof timestamp === "number" && timestamp > 0 && timestamp <= timestampMax ? timestamp * 1_000 : null;
}

/** Other publishers give numbers and truth values; what has no plain text is left out. */
function textOf(value: unknown): string | null {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" || typeof value === "bigint" ? String(value) : null;
}
