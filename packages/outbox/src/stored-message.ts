import { isFromCatalogue, type Message } from "@waybill/core";
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
  /** null: the id is ours, nobody else can have used it, and it is not claimed. */
  readonly fingerprint: string | null;
}

/** Headers as JSON text. Messages of a catalogue share a map where they have no headers of their own: its text is made once. */
export function headersToText(): (message: Message) => string | null {
  const texts = new WeakMap<ReadonlyMap<string, string>, string>();
  return (message) => {
    const { headers } = message;
    const known = isFromCatalogue(message) ? texts.get(headers) : undefined;
    if (known !== undefined) return known;
    if (headers.size === 0) return null;
    const text = JSON.stringify(Object.fromEntries(headers));
    if (isFromCatalogue(message)) texts.set(headers, text);
    return text;
  };
}

/** The columns of a message that was checked. Text stays text, except that PostgreSQL's text refuses U+0000. `isClaimed`: its id is, whoever made it. */
export function storedMessage(message: Message, messageId: string, headers: string | null, isClaimed: boolean): StoredMessage {
  const { payload } = message;
  const isText = typeof payload === "string" && !payload.includes("\0");
  return {
    messageId,
    type: message.type,
    topic: message.topic,
    key: message.key,
    headers,
    payload: isText ? payload : null,
    payloadBytes: isText || payload === null ? null : typeof payload === "string" ? Buffer.from(payload, "utf8") : payload,
    fingerprint: isClaimed ? fingerprint(message) : null,
  };
}
