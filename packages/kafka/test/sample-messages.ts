import { newMessageId, type OutgoingMessage, type PublishOutcome, partitionOfKey, type Transport } from "@waybill/core";

/** Makes messages of a topic, numbered from 1. */
export function messagesOf(topic: string): (given?: Partial<OutgoingMessage>) => OutgoingMessage {
  let sequence = 0n;
  return (given = {}) => {
    sequence += 1n;
    return {
      id: newMessageId(),
      type: "kafka.sample.v1",
      topic,
      key: null,
      headers: new Map([["ce-source", "/kafka"]]),
      payload: Buffer.from(String(sequence)),
      sequence,
      createdAtMs: Date.now(),
      ...given,
    };
  };
}

/** A key that goes to this partition. */
export function keyTo(partition: number, partitions: number, prefix = "key"): string {
  for (let number = 0; ; number += 1) {
    const key = `${prefix}-${number}`;
    if (partitionOfKey(key, partitions) === partition) return key;
  }
}

/** What a test compares: the kind, its scope and its reason. */
export function told(outcome: PublishOutcome | undefined): string {
  if (outcome === undefined || outcome.kind === "confirmed") return outcome?.kind ?? "none";
  const { reason, brokerCode } = outcome.error.facts;
  const why = brokerCode === null ? reason : `${reason}:${brokerCode}`;
  return outcome.kind === "rejected" ? `rejected ${why}` : `${outcome.kind} ${outcome.scope} ${why}`;
}

/** Publishes what is left, as a relay does, in order, until all is confirmed. Answers how often it called. */
export async function publishUntilConfirmed(
  transport: Transport,
  messages: readonly OutgoingMessage[],
  options: { readonly callDeadlineMs?: number; readonly withinMs?: number } = {},
): Promise<number> {
  const { callDeadlineMs = 10_000, withinMs = 60_000 } = options;
  const untilMs = performance.now() + withinMs;
  let left = messages;
  for (let calls = 1; ; calls += 1) {
    const outcomes = await transport.publish(left, { deadlineMs: callDeadlineMs });
    left = left.filter((_, index) => outcomes[index]?.kind !== "confirmed");
    if (left.length === 0) return calls;
    if (performance.now() > untilMs)
      throw new Error(`${left.length} messages were not confirmed in time: ${told(outcomes.find(({ kind }) => kind !== "confirmed"))}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
