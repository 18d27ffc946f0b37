import type { Message } from "@waybill/core";
import { fingerprint } from "./fingerprint.ts";

/** A message as the columns of a row. */
export interface StoredMessage {
  readonly messageId: string;
  readonly type: string;
  readonly topic: string;
  readonly key: string | null;
  readonly headers: string | null;
  readonly payload: string | null;
  readonly payloadBytes: Uint8Array | null;
  /** null: the id is ours, nobody else can have used it. */
  readonly fingerprint: string | null;
}

/** The columns of a message that was checked. Text stays text, except that PostgreSQL's text refuses U+0000. */
export function storedMessage(message: Message, messageId: string): StoredMessage {
  const { payload } = message;
  const isText = typeof payload === "string" && !payload.includes("\0");
  return {
    messageId,
    type: message.type,
    topic: message.topic,
    key: message.key,
    headers: message.headers.size === 0 ? null : JSON.stringify(Object.fromEntries(message.headers)),
    payload: isText ? payload : null,
    payloadBytes: isText || payload === null ? null : typeof payload === "string" ? Buffer.from(payload, "utf8") : payload,
    fingerprint: message.ownId === null ? null : fingerprint(message),
  };
}
