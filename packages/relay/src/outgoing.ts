/** From a row as it was read to a message as it is published: the only place where stored headers are parsed. */
import { contentTypeProblem, type OutgoingMessage, sourceHeader, sourceProblem, validateHeaders } from "@waybill/core";
import type { DeadLetter } from "@waybill/dead-letter";
import type { LedgerRow } from "@waybill/outbox";

export type Headers = ReadonlyMap<string, string>;

/** Both empty is a fence: a row that only takes an id. Readers skip it. */
export function isFence(row: LedgerRow): boolean {
  return row.type === "" && row.topic === "";
}

/**
 * Why a row can never be published, or null. `append` lets no such row in; one written by hand, or by another language's writer, may
 * be anything, and ends in the dead letters as it is.
 */
export function unreadableReason(row: { readonly type: string; readonly topic: string }, headers: Headers | null): string | null {
  if (row.type === "") return "emptyType";
  if (row.topic === "") return "emptyTopic";
  return headers === null ? "malformedHeaders" : null;
}

/** The message of a readable row. The payload is never parsed, nor copied. */
export function outgoingMessage(row: LedgerRow, headers: Headers): OutgoingMessage {
  return {
    id: row.messageId,
    type: row.type,
    topic: row.topic,
    key: row.key,
    headers,
    payload: row.payload,
    sequence: row.id,
    createdAtMs: row.createdAtMs,
  };
}

/** The message of a released dead letter: its copy, with its first id and place. */
export function outgoingDeadLetter(letter: DeadLetter, headers: Headers): OutgoingMessage {
  return {
    id: letter.messageId,
    type: letter.type,
    topic: letter.topic,
    key: letter.key,
    headers,
    payload: typeof letter.payload === "string" ? Buffer.from(letter.payload, "utf8") : letter.payload,
    sequence: letter.sequence,
    createdAtMs: letter.createdAtMs ?? 0,
  };
}

const cachedTextsMax = 256;

/**
 * Makes a parser for stored headers: null if they are no JSON object of strings that a transport could send.
 *
 * Messages of one type mostly carry the same text, and parsing it for each would be the relay's largest cost, so the last few
 * hundred answers are kept. Texts that differ every time (a trace) come and go without growing it.
 */
export function headerParser(): (text: string | null) => Headers | null {
  const none: Headers = new Map();
  const known = new Map<string, Headers | null>();
  return (text) => {
    if (text === null) return none;
    const before = known.get(text);
    if (before !== undefined) return before;
    if (known.size >= cachedTextsMax) known.clear();
    const headers = parseHeaders(text);
    known.set(text, headers);
    return headers;
  };
}

function parseHeaders(text: string): Headers | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
    const { [sourceHeader]: source, "content-type": contentType, ...others } = value as Record<string, string>;
    const headers = new Map(validateHeaders(others));
    if (source !== undefined && sourceProblem(source) !== null) return null;
    if (contentType !== undefined && contentTypeProblem(contentType) !== null) return null;
    if (source !== undefined) headers.set(sourceHeader, source);
    if (contentType !== undefined) headers.set("content-type", contentType);
    return headers;
  } catch {
    // Malformed JSON, or a header that breaks the grammar: the answer is the same, and the text must not get into an error.
    return null;
  }
}
