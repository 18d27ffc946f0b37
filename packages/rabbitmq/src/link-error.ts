import { isWaybillError, type WaybillError, waybillError } from "@waybill/core";
import type { LinkFailure } from "./link.ts";

/** For a caller who wanted a broker and got none. */
export function linkError({ reason, brokerCode, cause }: LinkFailure): WaybillError<"WAYBILL_TRANSPORT" | "WAYBILL_CONFIG_INVALID"> {
  return isWaybillError(cause, "WAYBILL_CONFIG_INVALID")
    ? cause
    : waybillError("WAYBILL_TRANSPORT", `RabbitMQ cannot be used: ${reason}.`, { system: "rabbitmq", reason, brokerCode }, cause);
}
