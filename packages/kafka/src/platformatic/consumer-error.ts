/** What a consumer fails with, as the source tells it. */
import { isWaybillError, type WaybillError, waybillError } from "@waybill/core";
import { failureOf } from "./failure.ts";

export type ConsumerError = WaybillError<"WAYBILL_TRANSPORT" | "WAYBILL_CONFIG_INVALID">;

const topicMissing = 3;
const notAuthorized: ReadonlySet<number> = new Set([29, 30, 31]);

export function consumerErrorOf(error: unknown): ConsumerError {
  if (isWaybillError(error, "WAYBILL_TRANSPORT") || isWaybillError(error, "WAYBILL_CONFIG_INVALID")) return error;
  const failure = failureOf(error);
  return consumerError(failure.kind, null, "cause" in failure ? failure.cause : undefined);
}

/** A broker said no. */
export function refusedWith(code: number): ConsumerError {
  const reason = code === topicMissing ? "topicMissing" : notAuthorized.has(code) ? "notAuthorized" : "refused";
  return consumerError(reason, String(code));
}

export function consumerError(reason: string, brokerCode: string | null = null, cause?: unknown): ConsumerError {
  const code = brokerCode === null ? "" : ` (code ${brokerCode})`;
  const facts = { system: "kafka", reason, brokerCode };
  return waybillError("WAYBILL_TRANSPORT", `The Kafka consumer failed: ${reason}${code}.`, facts, cause);
}
