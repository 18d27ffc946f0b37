import { type OutgoingMessage, sourceHeader } from "@waybill/core";
import type { ClaimedDelivery } from "../delivery-store.ts";

/** A delivery as a transport gets it: the bytes that were stored, and beside them what its consumer must know to acknowledge it. */
export function outgoingDelivery(delivery: ClaimedDelivery, ackDeadlineMs: number): OutgoingMessage {
  const { headers, traceparent, ackMode } = delivery;
  return {
    id: delivery.messageId,
    type: delivery.type,
    topic: delivery.topic,
    key: delivery.key,
    headers: new Map([
      ...(traceparent === null ? [] : [["traceparent", traceparent] as const]),
      ...Object.entries(headers),
      [sourceHeader, `/${delivery.producer}`],
      ["waybill-delivery-id", delivery.deliveryId],
      ["waybill-attempt", String(delivery.attempt)],
      ["waybill-ack", ackMode],
      ...(ackMode === "explicit" ? [["waybill-ack-deadline-ms", String(ackDeadlineMs)] as const] : []),
    ]),
    payload: delivery.payload,
    sequence: BigInt(delivery.seq),
    createdAtMs: delivery.preparedAtMs,
  };
}
