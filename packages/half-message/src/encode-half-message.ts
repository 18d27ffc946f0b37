import { type Message, newMessageId, sourceHeader, traceOf, waybillError } from "@waybill/core";

/** A message, and what a half message can say of it besides. */
export interface HalfMessageContent {
  readonly message: Message;
  /** Milliseconds from the decision to the first delivery. Default 0. */
  readonly delayMs?: number;
  /** Receivers of notifications, by name. */
  readonly receivers?: readonly string[];
  /** Under which a receiver may ask for it. */
  readonly businessKey?: string;
}

/** One message or several: a decision covers all of them. */
export type HalfMessageContents = Message | HalfMessageContent | readonly (Message | HalfMessageContent)[];

export interface EncodeOptions {
  readonly id: string;
  readonly barrier: string | null;
  readonly order: "decision" | "prepare";
  readonly check: { readonly afterMs: number; readonly suspendAfterMs: number };
}

const messagesMax = 100;

/** A half message as the service takes it. */
export interface EncodedHalfMessage {
  readonly body: string;
  /** Of the first message that has one: check-backs belong to it, too. */
  readonly traceparent: string | null;
}

/**
 * A half message as the service takes it: JSON, encoded once, so that every repeat is the same to the byte.
 *
 * @throws WAYBILL_MESSAGE_INVALID: none, too many, or one without a payload
 */
export function encodeHalfMessage(contents: HalfMessageContents, { id, barrier, order, check }: EncodeOptions): EncodedHalfMessage {
  const list = Array.isArray(contents)
    ? (contents as readonly (Message | HalfMessageContent)[])
    : [contents as Message | HalfMessageContent];
  if (list.length < 1 || list.length > messagesMax) throw invalid(`1 to ${messagesMax} of them`);
  const messages = list.map((one) => {
    const { message, ...besides } = "message" in one ? one : { message: one };
    // A single message without an id of its own has that of its half message.
    return encodeMessage(message, message.ownId ?? (list.length === 1 ? id : newMessageId()), besides);
  });
  const traceparents = list.map((one) => traceOf(("message" in one ? one.message : one).headers)?.traceparent ?? null);
  return {
    body: JSON.stringify({ barrier, order, check, messages }),
    traceparent: traceparents.find((traceparent) => traceparent !== null) ?? null,
  };
}

function encodeMessage(message: Message, id: string, { delayMs, receivers, businessKey }: Omit<HalfMessageContent, "message">): object {
  const { type, topic, key, payload } = message;
  if (payload === null) throw invalid("with text or bytes: a half message carries no tombstone");
  // The source is the producer's name, which the service knows.
  const headers = Object.fromEntries([...message.headers].filter(([name]) => name !== sourceHeader));
  return {
    id,
    type,
    topic,
    ...(key === null ? {} : { key }),
    headers,
    ...(typeof payload === "string" ? { payload } : { payloadBase64: Buffer.from(payload).toString("base64") }),
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(receivers === undefined ? {} : { receivers }),
    ...(businessKey === undefined ? {} : { businessKey }),
  };
}

function invalid(rule: string): Error {
  return waybillError("WAYBILL_MESSAGE_INVALID", `The messages of a half message must be ${rule}.`, { field: "payload", rule });
}
