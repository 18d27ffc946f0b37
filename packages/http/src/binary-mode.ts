/**
 * A message as an HTTP request and back: CloudEvents 1.0, HTTP binding, binary mode. The attributes travel as `ce-` headers, the
 * body is the stored bytes.
 *
 *     ce-id: 0198…                     ce-… values, and those of the message's own headers, are percent-encoded: HTTP
 *     ce-type: shop.order.placed.v1    carries ASCII, messages carry text
 *     content-type: application/json   as stored, like traceparent, tracestate and baggage: these have grammars of their own,
 *     traceparent: 00-…                within ASCII, and readers that know nothing of percent signs
 *     waybill-payload: empty           no bytes at all, yet no tombstone: HTTP cannot tell them apart
 */
import type { IncomingHttpHeaders } from "node:http";
import {
  type CloudEventProblem,
  fromCloudEvent,
  isDeliveryHeader,
  isWaybillError,
  type OutgoingMessage,
  percentDecode,
  percentEncode,
  type ReceivedMessage,
  sourceHeader,
  splitDeliveryHeaders,
  toCloudEvent,
  validateHeaders,
} from "@waybill/core";

/** These values travel as they are. What of them is no printable ASCII never was within their grammar, and is percent-encoded. */
const plainHeaders: ReadonlySet<string> = new Set(["content-type", "traceparent", "tracestate", "baggage"]);

const emptyPayloadHeader = "waybill-payload";

interface BinaryRequest {
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

/** Headers and body of the request that carries `message`, or the reason why HTTP cannot. Never throws: a batch has other messages. */
export function toRequest(
  message: OutgoingMessage,
): BinaryRequest | { readonly problem: "headersInvalid" | "requestInvalid"; readonly cause: unknown } {
  try {
    return requestOf(message);
  } catch (error) {
    return { problem: isWaybillError(error, "WAYBILL_HEADERS_INVALID") ? "headersInvalid" : "requestInvalid", cause: error };
  }
}

function requestOf(message: OutgoingMessage): BinaryRequest {
  // Another language may have inserted the row: what would address or frame the request itself must not come from it.
  const { delivery, own: others } = splitDeliveryHeaders(message.headers);
  const { "content-type": contentType, [sourceHeader]: _, ...own } = others;
  validateHeaders(own);
  const headers: Record<string, string> = { ...delivery };
  for (const [name, value] of Object.entries(own)) headers[name] = plainHeaders.has(name) ? plainValue(value) : percentEncode(value);
  if (contentType !== undefined) headers["content-type"] = plainValue(contentType);
  for (const [name, value] of Object.entries(toCloudEvent(message))) headers[`ce-${name}`] = percentEncode(value);
  const body = message.payload ?? new Uint8Array(0);
  headers["content-length"] = String(body.byteLength);
  if (message.payload !== null && body.byteLength === 0) headers[emptyPayloadHeader] = "empty";
  return { headers, body };
}

/** Names the first thing about a request that makes it no message: an attribute, without its value. */
export type RequestProblem = CloudEventProblem | "encoding";

/** The message that a request carries. Attributes that CloudEvents or its extensions define and we do not are kept as `ce-` headers. */
export function fromRequest(
  headers: IncomingHttpHeaders,
  body: Uint8Array,
): { readonly message: ReceivedMessage } | { readonly problem: RequestProblem } {
  const attributes: Record<string, string> = {};
  const own = new Map<string, string>();
  for (const [name, raw] of Object.entries(headers)) {
    const value = Array.isArray(raw) ? raw.join(", ") : raw;
    if (value === undefined) continue;
    if (name.startsWith("ce-")) {
      const decoded = percentDecode(value);
      if (decoded === null) return { problem: "encoding" };
      attributes[name.slice(3)] = decoded;
    } else if (plainHeaders.has(name)) own.set(name, value);
    else if (isDeliveryHeader(name, value)) own.set(name, value);
    else keepOwnHeader(own, name, value);
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (!knownAttributes.has(name) && !/\p{Cc}/u.test(value)) own.set(`ce-${name}`, value);
  }
  const isTombstone = body.byteLength === 0 && headers[emptyPayloadHeader] !== "empty";
  return fromCloudEvent(attributes, own, isTombstone ? null : body);
}

const knownAttributes: ReadonlySet<string> = new Set(["specversion", "id", "source", "type", "time", "topic", "sequence", "partitionkey"]);

/**
 * Keeps a header that a message may have. The others belong to this one connection – host, length, authorization, a proxy's
 * remarks – and are no part of the message. A value that is no percent-encoded text was never meant to be: it is kept as it came.
 */
function keepOwnHeader(own: Map<string, string>, name: string, raw: string): void {
  const decoded = percentDecode(raw);
  for (const value of decoded === null || decoded === raw ? [raw] : [decoded, raw]) {
    try {
      validateHeaders({ [name]: value });
      own.set(name, value);
      return;
    } catch (error) {
      if (!isWaybillError(error, "WAYBILL_HEADERS_INVALID")) throw error;
    }
  }
}

function plainValue(value: string): string {
  return value.replace(/^ +| +$|[^\x20-\x7e]+/gu, percentEncode);
}
