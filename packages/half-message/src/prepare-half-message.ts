import { backoffMs, type Clock, emit, type OnEvent, type Random, wait, waybillError } from "@waybill/core";
import type { EncodedHalfMessage } from "./encode-half-message.ts";
import type { ServiceAnswer, ServiceClient } from "./service-client.ts";

export interface PrepareContext {
  readonly client: ServiceClient;
  readonly producer: string;
  readonly callTimeoutMs: number;
  readonly prepareDeadlineMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: OnEvent | undefined;
}

const backoff = { firstMs: 50, maxMs: 1_000 } as const;

/**
 * Stores a half message at the service: again and again with the same id, until it says that it has it, that it will not, or the deadline passes.
 *
 * @throws WAYBILL_PREPARE_FAILED: the local transaction must not begin
 */
export async function prepareHalfMessage(context: PrepareContext, id: string, { body, traceparent }: EncodedHalfMessage): Promise<void> {
  const { client, producer, clock, random, onEvent, callTimeoutMs, prepareDeadlineMs } = context;
  const ours = { producer, messageId: id } as const;
  const untilMs = clock.monotonicMs() + prepareDeadlineMs;
  const target = `/v1/producers/${producer}/half-messages/${id}`;
  let mayBeStored = false;
  emit(onEvent, { name: "producer.preparing", ...ours });
  for (let attempt = 1; ; attempt += 1) {
    const leftMs = Math.max(1, untilMs - clock.monotonicMs());
    const answer = await client.call({ method: "PUT", target, body, traceparent }, Math.min(callTimeoutMs, leftMs));
    if (answer.kind === "answered" && (answer.status === 200 || answer.status === 201)) {
      emit(onEvent, { name: "producer.prepared", ...ours, attempts: attempt, isReplayed: answer.status === 200 });
      return;
    }
    mayBeStored ||= answer.kind === "unknown" || (answer.kind === "answered" && answer.status >= 500);
    const status = answer.kind === "answered" ? answer.status : null;
    const reason = reasonOf(answer);
    if (!mayCallAgain(answer)) throw prepareFailed({ ...ours, reason, status, mayBeStored });
    const asked = answer.kind === "answered" ? answer.retryAfterMs : null;
    const afterMs = asked ?? backoffMs(backoff, attempt, random);
    if (clock.monotonicMs() + afterMs >= untilMs) throw prepareFailed({ ...ours, reason, status, mayBeStored });
    emit(onEvent, { name: "producer.prepareRetrying", ...ours, attempt, reason, afterMs });
    await wait(clock, afterMs);
  }
}

function mayCallAgain(answer: ServiceAnswer): boolean {
  return answer.kind !== "answered" || answer.status === 429 || answer.status >= 500;
}

function reasonOf(answer: ServiceAnswer): string {
  return answer.kind === "answered" ? (answer.code ?? `status ${answer.status}`) : answer.reason;
}

function prepareFailed(facts: {
  readonly producer: string;
  readonly messageId: string;
  readonly reason: string;
  readonly status: number | null;
  readonly mayBeStored: boolean;
}): Error {
  const message = `The half message was not prepared (${facts.reason}), and its local transaction not begun: nothing has happened. Try again later, with a new one.`;
  return waybillError("WAYBILL_PREPARE_FAILED", message, facts);
}
