/**
 * What an attempt to publish over HTTP proves. One pure function and one table: evidence in, outcome out.
 *
 * | Evidence                                                              | Outcome (scope)                          |
 * |-----------------------------------------------------------------------|------------------------------------------|
 * | 2xx                                                                   | confirmed                                |
 * | 400, 413, 415, 422, 431                                               | rejected                                 |
 * | 408, 409, 423, 425, and any other 4xx that is not named here          | retry (message)                          |
 * | 3xx, 401, 403, 404, 405, 407, 410, 421, 426, 429, 451, 501, 505       | retry (topic)                            |
 * | any other status, 503 and `again` among them                          | unknown (message)                        |
 * | the request cannot be made of the message                             | rejected                                 |
 * | failed before the first byte of the request was written               | retry (topic); the lease's loss and a close: transport |
 * | failed after it, without a status                                     | unknown (message); a breaker raises it to topic |
 *
 * A status that nobody named speaks about this request, so it stops only this message: its attempts end in a dead letter with the
 * status as its reason, while a topic that stopped for it would stop its neighbours, too.
 */
import { type FailureScope, type PublishOutcome, type WaybillError, waybillError } from "@waybill/core";

export type Evidence =
  | { readonly kind: "answered"; readonly status: number; readonly retryAfterMs: number | null }
  | { readonly kind: "notSent" | "unknown"; readonly reason: string; readonly brokerCode: string | null; readonly cause: unknown };

const rejectedStatuses: ReadonlySet<number> = new Set([400, 413, 415, 422, 431]);
const topicStatuses: ReadonlySet<number> = new Set([401, 403, 404, 405, 407, 410, 421, 426, 429, 451, 501, 505]);
const transportReasons: ReadonlySet<string> = new Set(["closed", "leaseLost"]);

/** `destination` names the receiver in the error's message: an origin, never a URL with path, query or credentials. */
export function outcomeOf(evidence: Evidence, destination: string): PublishOutcome {
  if (evidence.kind !== "answered") {
    const { kind, reason, brokerCode, cause } = evidence;
    if (reason === "requestInvalid") return rejectedAs(destination, reason, cause);
    if (kind === "unknown") return { kind, scope: "message", error: transportError(destination, reason, brokerCode, cause) };
    return {
      kind: "retry",
      scope: transportReasons.has(reason) ? "transport" : "topic",
      error: transportError(destination, reason, brokerCode, cause),
    };
  }
  const { status } = evidence;
  if (status >= 200 && status <= 299) return { kind: "confirmed" };
  const error = transportError(destination, "status", String(status));
  const later = evidence.retryAfterMs === null ? {} : { afterMs: evidence.retryAfterMs };
  if (rejectedStatuses.has(status)) return { kind: "rejected", error };
  if ((status >= 300 && status <= 399) || topicStatuses.has(status)) return { kind: "retry", scope: "topic", error, ...later };
  if (status >= 400 && status <= 499) return { kind: "retry", scope: "message", error, ...later };
  return { kind: "unknown", scope: "message", error, ...later };
}

/** A message that was surely not sent, for a reason of ours. */
export function notSent(destination: string, reason: string, scope: FailureScope, afterMs?: number): PublishOutcome {
  return { kind: "retry", scope, error: transportError(destination, reason, null), ...(afterMs === undefined ? {} : { afterMs }) };
}

/** A message that HTTP cannot carry as it is. */
export function rejectedAs(destination: string, reason: string, cause?: unknown): PublishOutcome {
  return { kind: "rejected", error: transportError(destination, reason, null, cause) };
}

function transportError(
  destination: string,
  reason: string,
  brokerCode: string | null,
  cause?: unknown,
): WaybillError<"WAYBILL_TRANSPORT"> {
  const facts = { system: "http", reason, brokerCode };
  return waybillError("WAYBILL_TRANSPORT", `${destination} did not take the message: ${reason}.`, facts, cause ?? undefined);
}
