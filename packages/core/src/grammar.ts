/**
 * The names in an envelope and the rules they keep. Each function answers the rule that is broken, in words that follow
 * "must be", or null. They never throw and never repeat the value: a key can be a customer's number.
 */
import { limits } from "./limits.ts";
import { hasControlCharacter, isWellFormed, utf8Bytes } from "./text.ts";

/** The rule that a message type's name breaks, or null. */
export function typeProblem(type: string): string | null {
  return isPlainText(type, limits.typeBytesMax) ? null : `1 to ${limits.typeBytesMax} bytes without control characters`;
}

/** The rule that a topic's name breaks, or null. */
export function topicProblem(topic: string): string | null {
  const isUsable = typeof topic === "string" && topic.length <= limits.topicLengthMax && /^[A-Za-z0-9._-]+$/.test(topic);
  return isUsable ? null : `1 to ${limits.topicLengthMax} of A-Z, a-z, 0-9, '.', '_' and '-'`;
}

/** The rule that a key breaks, or null. An empty key is none: whoever means "no order" says null. */
export function keyProblem(key: string): string | null {
  return isPlainText(key, limits.keyBytesMax) ? null : `1 to ${limits.keyBytesMax} bytes without control characters or lone surrogates`;
}

/** The rule that a source breaks, or null. */
export function sourceProblem(source: string): string | null {
  const isUsable = typeof source === "string" && /^[\x21-\x7e]{1,255}$/.test(source);
  return isUsable ? null : "a URI reference of 1 to 255 printable ASCII characters, such as /order-service";
}

/** The rule that a content type breaks, or null. The grammar is loose: whoever reads it parses it. */
export function contentTypeProblem(contentType: string): string | null {
  const isUsable =
    typeof contentType === "string" && contentType.length <= 255 && /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+( *;[\x20-\x7e]*)?$/.test(contentType);
  return isUsable ? null : "a media type such as application/json, at most 255 printable ASCII characters";
}

function isPlainText(text: string, bytesMax: number): boolean {
  return typeof text === "string" && text !== "" && utf8Bytes(text) <= bytesMax && isWellFormed(text) && !hasControlCharacter(text);
}
