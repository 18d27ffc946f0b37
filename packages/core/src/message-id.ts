import { v7 } from "uuid";
import { waybillError } from "./errors.ts";
import { limits } from "./limits.ts";
import { hasControlCharacter, isWellFormed, utf8Bytes } from "./text.ts";

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A new message id: UUIDv7 (RFC 9562), so that ids made close in time lie close in an index. Made once, at append. */
export function newMessageId(): string {
  return v7();
}

/** True for a UUID in its canonical form: lower case, hyphens. The outbox stores message ids as `uuid`. */
export function isUuid(text: string): boolean {
  return uuidPattern.test(text);
}

/**
 * Checks an id that a caller chose for an outbox message and returns it in canonical form.
 *
 * @throws WAYBILL_MESSAGE_INVALID
 */
export function ownMessageId(id: string): string {
  const canonical = typeof id === "string" ? id.toLowerCase() : "";
  if (isUuid(canonical)) return canonical;
  throw waybillError("WAYBILL_MESSAGE_INVALID", "A message id of your own must be a UUID; derive one (UUIDv5) from what you have.", {
    field: "id",
    rule: "UUID",
  });
}

/** True if an id that arrived can be stored and compared: foreign producers need not use UUIDs. */
export function isMessageId(id: string): boolean {
  return id.length > 0 && utf8Bytes(id) <= limits.messageIdBytesMax && isWellFormed(id) && !hasControlCharacter(id);
}
