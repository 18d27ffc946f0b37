import { waybillError } from "@waybill/core";

const reasonLengthMax = 200;

/**
 * Says, inside a handler, that it will never take this message: the unit is rolled back and the message becomes a dead letter at once,
 * without further attempts. Everything else that a handler throws means "again, with backoff".
 *
 * `reason` is kept with the dead letter and shown to operators: a word or a short sentence, at most 200 characters, with nothing of the
 * payload in it. `cause` is for a debugger and kept nowhere.
 *
 * @throws WAYBILL_MESSAGE_REJECTED, always
 */
export function reject(reason: string, cause?: unknown): never {
  // Cut first: a cut may halve a character, and neither a half nor U+0000 can be stored.
  const cut = String(reason).slice(0, reasonLengthMax) as string & { toWellFormed(): string };
  const short = cut.toWellFormed().replaceAll("\u0000", "\ufffd") || "rejected";
  throw waybillError(
    "WAYBILL_MESSAGE_REJECTED",
    "The handler rejects this message: look at its dead letter, then redrive or discard it.",
    { reason: short },
    cause,
  );
}
