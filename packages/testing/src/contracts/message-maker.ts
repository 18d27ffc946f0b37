import { newMessageId, type OutgoingMessage } from "@waybill/core";

/** Makes messages with ids and sequences of their own, and whatever else a case cares about. */
export function messageMaker(): (given?: Partial<OutgoingMessage>) => OutgoingMessage {
  let sequence = 0n;
  return (given = {}) => {
    sequence += 1n;
    return {
      id: newMessageId(),
      type: "contract.sample.v1",
      topic: "contract",
      key: null,
      headers: new Map([
        ["ce-source", "/contract"],
        ["content-type", "application/json"],
      ]),
      payload: Buffer.from(`{"number":${sequence}}`),
      sequence,
      createdAtMs: 1_700_000_000_123 + Number(sequence),
      ...given,
    };
  };
}
