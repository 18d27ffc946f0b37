import {
  checkSize,
  contentTypeProblem,
  isFromCatalogue,
  isWellFormed,
  keyProblem,
  type Message,
  ownMessageId,
  sourceHeader,
  sourceProblem,
  topicProblem,
  typeProblem,
  validateHeaders,
  waybillError,
} from "@waybill/core";

/**
 * Checks a message before it is written. One that a catalogue made passes; one that was put together by hand may hold anything,
 * and what is in the ledger once is read by every relay.
 *
 * @throws WAYBILL_MESSAGE_INVALID, WAYBILL_HEADERS_INVALID, WAYBILL_PAYLOAD_TOO_LARGE
 */
export function checkMessage(message: Message): void {
  if (isFromCatalogue(message)) return;
  const given: unknown = message;
  if (typeof given !== "object" || given === null) throw invalid("type", "in a message; call the catalogue's entry to make one");
  const { ownId, type, topic, key, payload } = message;
  if (ownId !== null) ownMessageId(ownId);
  const typeRule = typeProblem(type);
  if (typeRule !== null) throw invalid("type", typeRule);
  const topicRule = topicProblem(topic);
  if (topicRule !== null) throw invalid("topic", topicRule);
  const keyRule = key === null ? null : keyProblem(key);
  if (keyRule !== null) throw invalid("key", `null, or ${keyRule}`);
  const isPayload = payload === null || payload instanceof Uint8Array || (typeof payload === "string" && isWellFormed(payload));
  if (!isPayload) throw invalid("payload", "text without lone surrogates, a Uint8Array or null");
  checkHeaders(message.headers);
  checkSize(message);
}

/** What the catalogue sets itself, with the rule that it breaks or null. */
const catalogueHeaders = [
  [sourceHeader, sourceProblem],
  ["content-type", contentTypeProblem],
] as const;

/** A caller's headers keep the grammar; source and content type, which belong to the catalogue, their own. */
function checkHeaders(headers: ReadonlyMap<string, string>): void {
  if (!(headers instanceof Map)) throw headersInvalid("*", "headers are a Map of names to text");
  let ofCatalogue = 0;
  for (const [name, problemOf] of catalogueHeaders) {
    const value = headers.get(name);
    if (value === undefined) continue;
    const rule = problemOf(value);
    if (rule !== null) throw headersInvalid(name, `it must be ${rule}`);
    ofCatalogue += 1;
  }
  if (headers.size === ofCatalogue) return;
  const own = new Map(headers);
  for (const [name] of catalogueHeaders) own.delete(name);
  validateHeaders(own);
}

function invalid(field: "type" | "topic" | "key" | "payload", rule: string): Error {
  return waybillError("WAYBILL_MESSAGE_INVALID", `The ${field} of a message must be ${rule}.`, { field, rule });
}

function headersInvalid(header: string, rule: string): Error {
  return waybillError("WAYBILL_HEADERS_INVALID", `Header ${JSON.stringify(header)} cannot be sent: ${rule}.`, { header, rule });
}
