import { reject } from "./reject.ts";

/** What the reason of such a message begins with. The statements that look for what a message waits behind know it, too. */
const heldReason = "held:";

/**
 * Says, inside a handler, that somebody must decide about this message before anything more of its key is handled: as `reject`, but later messages of
 * the key wait behind it under any key policy, until it is redriven or discarded.
 *
 * @throws WAYBILL_MESSAGE_REJECTED, always; its reason is `held:` and what was given
 */
export function hold(reason: string, cause?: unknown): never {
  return reject(`${heldReason}${reason}`, cause);
}
