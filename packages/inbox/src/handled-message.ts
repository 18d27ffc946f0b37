import { isWaybillError, type MessageType, type ReceivedMessage, traceOf, waybillError } from "@waybill/core";
import { reasons } from "./decision.ts";
import type { HandledMessage } from "./inbox.ts";

/**
 * A message as its handler sees it.
 *
 * @throws WAYBILL_MESSAGE_REJECTED if its type cannot read the payload
 */
export function handledMessage(type: MessageType<never, unknown>, message: ReceivedMessage): HandledMessage<unknown> {
  // Headers of its own: a unit may be repeated, and its handler is to find them as they came.
  return { ...message, headers: new Map(message.headers), payload: readPayload(type, message.payload), trace: traceOf(message.headers) };
}

/** A payload that its type cannot read is refused at once: it will not get better. */
function readPayload(type: { read(payload: Uint8Array | null): unknown }, payload: Uint8Array | null): unknown {
  try {
    return type.read(payload);
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_PAYLOAD_INVALID") && !isWaybillError(error, "WAYBILL_PAYLOAD_NOT_JSON")) throw error;
    throw waybillError("WAYBILL_MESSAGE_REJECTED", "The payload is not what its type says.", { reason: reasons.payloadInvalid }, error);
  }
}
