import { newMessageId, type OutgoingMessage } from "@waybill/core";

let sequence = 0n;

/** A message as a relay gives it to a transport. */
export function outgoing(given: Partial<OutgoingMessage> = {}): OutgoingMessage {
  sequence += 1n;
  return {
    id: newMessageId(),
    type: "shop.order.placed.v1",
    topic: "orders",
    key: null,
    headers: new Map([
      ["ce-source", "/order-service"],
      ["content-type", "application/json"],
    ]),
    payload: Buffer.from(`{"number":${sequence}}`),
    sequence,
    createdAtMs: 1_700_000_000_000,
    ...given,
  };
}
