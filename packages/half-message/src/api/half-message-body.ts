/** The body of a prepare, and of a commit that carries it: read, checked and resolved to where its messages go. */
import {
  contentTypeProblem,
  isUuid,
  isWaybillError,
  isWellFormed,
  keyProblem,
  topicProblem,
  typeProblem,
  validateHeaders,
} from "@waybill/core";
import { type FingerprintedMessage, fingerprintOf } from "../fingerprint.ts";
import { idProblem, nameProblem } from "../names.ts";
import type { NewHalfMessage, StoredMessage } from "../store.ts";
import { type Complaints, complaints, type Fields, path, readArray, readInteger, readObject, readText, require } from "./fields.ts";
import { problem } from "./problem.ts";

/** A half message as it came. */
export interface HalfMessageBody {
  readonly barrier: string | null;
  readonly order: "decision" | "prepare";
  /** null: as configured. */
  readonly checkAfterMs: number | null;
  readonly suspendAfterMs: number | null;
  readonly messages: readonly BodyMessage[];
}

interface BodyMessage extends FingerprintedMessage {
  readonly payload: Uint8Array;
}

export interface BodyLimits {
  readonly messagesMax: number;
  /** Payload, headers and key of one message. */
  readonly payloadBytesMax: number;
}

const checkBounds = { min: 100, max: 86_400_000 };
const suspendBounds = { min: 100, max: 7 * 86_400_000 };
const delayBounds = { min: 0, max: 30 * 86_400_000 };
const receiversMax = 50;
const messageFields = ["id", "type", "topic", "key", "headers", "payload", "payloadBase64", "delayMs", "receivers", "businessKey"];

/**
 * Reads a body. `at` is where it lies in the request.
 *
 * @throws ApiProblem malformed_request, limit_exceeded or order_needs_one_key
 */
export function readHalfMessage(value: unknown, at: string, id: string, limits: BodyLimits): HalfMessageBody {
  const to = complaints();
  const fields = readObject(value, at, ["barrier", "order", "check", "messages"], to);
  require(fields, ["messages"], at, to);
  const barrier = fields.barrier === null ? null : (readText(fields, "barrier", at, to, uuidProblem)?.toLowerCase() ?? null);
  const order = readText(fields, "order", at, to, orderProblem) === "prepare" ? "prepare" : "decision";
  const checkAt = path(at, "check");
  const check = fields.check === undefined ? {} : readObject(fields.check, checkAt, ["afterMs", "suspendAfterMs"], to);
  const checkAfterMs = readInteger(check, "afterMs", checkAt, to, checkBounds) ?? null;
  const suspendAfterMs = readInteger(check, "suspendAfterMs", checkAt, to, suspendBounds) ?? null;
  const all = readArray(fields, "messages", at, to, { min: 1, max: limits.messagesMax }) ?? [];
  const messages = all.map((message, index) =>
    readMessage(message, `${path(at, "messages")}[${index}]`, all.length === 1 ? id : null, limits, to),
  );
  if (new Set(messages.map(({ messageId }) => messageId)).size !== messages.length) {
    to.malformed(path(at, "messages"), "must have ids that differ");
  }
  to.throwIfAny({ id });
  const [first] = messages;
  if (order === "prepare" && messages.some(({ key }) => key === null || key !== first?.key)) throw problem("order_needs_one_key", { id });
  return { barrier, order, checkAfterMs, suspendAfterMs, messages };
}

function readMessage(value: unknown, at: string, ownId: string | null, limits: BodyLimits, to: Complaints): BodyMessage {
  const fields = readObject(value, at, messageFields, to);
  require(fields, ownId === null ? ["id", "type", "topic"] : ["type", "topic"], at, to);
  const payload = readPayload(fields, at, to);
  const headers = readHeaders(fields.headers, path(at, "headers"), to);
  const key = readNullable(fields, "key", at, to, keyProblem);
  const receivers = (readArray(fields, "receivers", at, to, { min: 0, max: receiversMax }) ?? []).filter(
    (receiver, index): receiver is string => {
      const broken = typeof receiver === "string" ? nameProblem(receiver) : "a name";
      if (broken !== null) to.malformed(`${path(at, "receivers")}[${index}]`, `must be ${broken}`);
      return broken === null;
    },
  );
  const bytes = payload.length + headersBytes(headers) + Buffer.byteLength(key ?? "");
  if (bytes > limits.payloadBytesMax) to.exceeds(at, `payload, headers and key must have no more than ${limits.payloadBytesMax} bytes`);
  return {
    messageId: readText(fields, "id", at, to, idProblem) ?? ownId ?? "",
    type: readText(fields, "type", at, to, typeProblem) ?? "",
    topic: readText(fields, "topic", at, to, topicProblem) ?? "",
    key,
    businessKey: readNullable(fields, "businessKey", at, to, businessKeyProblem),
    delayMs: readInteger(fields, "delayMs", at, to, delayBounds) ?? 0,
    receivers: [...new Set(receivers)],
    headers,
    payload,
  };
}

function readNullable(fields: Fields, name: string, at: string, to: Complaints, rule: (text: string) => string | null): string | null {
  return fields[name] === null ? null : (readText(fields, name, at, to, rule) ?? null);
}

/** Exactly one of the two forms: text is stored as its UTF-8 bytes, base64 decoded. */
function readPayload(fields: Fields, at: string, to: Complaints): Uint8Array {
  const { payload, payloadBase64 } = fields;
  if ((payload === undefined) === (payloadBase64 === undefined)) {
    to.malformed(path(at, "payload"), "or payloadBase64 is needed, and not both");
    return new Uint8Array();
  }
  if (payload !== undefined) {
    const text = readText(fields, "payload", at, to, (each) => (isWellFormed(each) ? null : "text without lone surrogates"));
    return Buffer.from(text ?? "", "utf8");
  }
  const base64 = readText(fields, "payloadBase64", at, to, (each) => (isBase64(each) ? null : "base64 with its padding"));
  return Buffer.from(base64 ?? "", "base64");
}

/** The content type belongs to the message here; all other names keep the rules of every message's headers. */
function readHeaders(value: unknown, at: string, to: Complaints): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    to.malformed(at, "must be an object of texts");
    return {};
  }
  const { "content-type": contentType, ...others } = value as Readonly<Record<string, unknown>>;
  try {
    const headers = Object.fromEntries(validateHeaders(others as Record<string, string>));
    if (contentType === undefined) return headers;
    const broken = typeof contentType === "string" ? contentTypeProblem(contentType) : "text";
    if (broken === null) return { ...headers, "content-type": contentType as string };
    to.malformed(`${at}.content-type`, `must be ${broken}`);
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_HEADERS_INVALID")) throw error;
    to.malformed(`${at}.${error.facts.header.replace(/[^\x20-\x7e]/g, "?")}`, error.facts.rule);
  }
  return {};
}

function headersBytes(headers: Readonly<Record<string, string>>): number {
  return Object.entries(headers).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0);
}

function orderProblem(text: string): string | null {
  return text === "decision" || text === "prepare" ? null : "decision or prepare";
}

function uuidProblem(text: string): string | null {
  return isUuid(text.toLowerCase()) ? null : "a UUID";
}

function businessKeyProblem(text: string): string | null {
  const rule = "1 to 128 bytes without control characters or lone surrogates";
  return keyProblem(text) === null && Buffer.byteLength(text) <= 128 ? null : rule;
}

function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

/** What the service knows about where messages go. */
export interface Routing {
  readonly routes: Readonly<Record<string, readonly string[]>>;
  readonly checkAfterMs: number;
  readonly suspendAfterMs: number;
}

/**
 * A half message to be stored, with the destinations that its topics have now.
 *
 * @throws ApiProblem topic_not_routed
 */
export function toNewHalfMessage(
  body: HalfMessageBody,
  {
    producer,
    id,
    keyId,
    traceparent,
  }: { readonly producer: string; readonly id: string; readonly keyId: string; readonly traceparent: string | null },
  routing: Routing,
): NewHalfMessage {
  const errors = body.messages.flatMap(({ topic, receivers }, index) => {
    const destinations = Object.hasOwn(routing.routes, topic) ? (routing.routes[topic] ?? []) : null;
    const isRouted = destinations !== null && destinations.length + receivers.length > 0;
    return isRouted ? [] : [{ field: `messages[${index}].topic`, why: "is routed nowhere" }];
  });
  if (errors.length > 0) throw problem("topic_not_routed", { producer, id, errors });
  const suspendAfterMs = body.suspendAfterMs ?? routing.suspendAfterMs;
  return {
    producer,
    id,
    fingerprint: fingerprintOf(body),
    barrier: body.barrier,
    orderKey: body.order === "prepare" ? (body.messages[0]?.key ?? null) : null,
    traceparent: traceparent ?? body.messages[0]?.headers.traceparent ?? null,
    preparedBy: keyId,
    checkAfterMs: Math.min(body.checkAfterMs ?? routing.checkAfterMs, suspendAfterMs),
    suspendAfterMs,
    messages: body.messages.map(({ receivers, ...message }): StoredMessage => {
      return {
        ...message,
        destinations: [...(routing.routes[message.topic] ?? []), ...receivers.map((receiver) => `receivers/${receiver}`)],
      };
    }),
  };
}
