import { randomFillSync } from "node:crypto";
import { v7 } from "uuid";
import { systemClock } from "./clock.ts";
import { waybillError } from "./errors.ts";
import { limits } from "./limits.ts";
import { hasControlCharacter, isWellFormed, utf8Bytes } from "./text.ts";

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * A new message id: UUIDv7 (RFC 9562), so that ids made close in time lie close in an index, and ids of one process ascend. Made once,
 * at append.
 */
export const newMessageId: () => string = ascendingIds();

/**
 * Makes ids with random bytes fetched for 256 of them at a time. Left to itself the library asks the system for every id, which
 * takes longer than all the rest of an append that happens in this process.
 */
function ascendingIds(): () => string {
  const pool = new Uint8Array(4_096);
  let used = pool.length;
  let lastMs = 0;
  let sequence = 0;
  return () => {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const random = pool.subarray(used, used + 16);
    used += 16;
    const nowMs = systemClock.wallMs();
    if (nowMs > lastMs) {
      lastMs = nowMs;
      sequence = ((random[0] as number) << 16) | ((random[1] as number) << 8) | (random[2] as number);
    } else {
      // The same millisecond, or a clock that was set back: count on, from a random start far below the 32 bits there are.
      sequence += 1;
    }
    return v7({ random, msecs: lastMs, seq: sequence });
  };
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
