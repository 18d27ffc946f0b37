import { isWaybillError } from "@waybill/core";

/** A short word for what went wrong, fit for events: never a message, which may quote anything. */
export function reasonOf(error: unknown): string {
  if (!isWaybillError(error, "WAYBILL_TRANSPORT")) return isWaybillError(error) ? error.code : "unexpected";
  const { reason, brokerCode } = error.facts;
  return brokerCode === null ? reason : `${reason}:${brokerCode}`;
}
