import { waybillError } from "@waybill/core";

const afterMsMax = 86_400_000;

/**
 * Says, inside a handler, that the message cannot be handled yet, and when to come again: the unit is rolled back and counts as an attempt, as if
 * the handler had thrown, but with the wait that the handler names. Its key waits so long, other keys go on.
 *
 * `afterMs` is cut to 1 ms at least and a day at most. A type that may wait for ever has the policy `untilSuccess`.
 *
 * @throws WAYBILL_RETRY_AFTER, always
 */
export function retryAfter(afterMs: number): never {
  const ms = Number.isFinite(afterMs) ? Math.min(afterMsMax, Math.max(1, Math.round(afterMs))) : afterMsMax;
  throw waybillError("WAYBILL_RETRY_AFTER", "The handler asks for this message again later.", { afterMs: ms });
}
