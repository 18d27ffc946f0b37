import { backoffMs, type Clock, emit, type OnEvent, type Random, wait } from "@waybill/core";
import type { AnswerChecks } from "./barrier-answers.ts";
import { checksIn } from "./check-protocol.ts";
import type { ServiceAnswer, ServiceClient } from "./service-client.ts";

export interface RunChecksContext {
  readonly client: ServiceClient;
  readonly producer: string;
  readonly answer: AnswerChecks;
  readonly callTimeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: OnEvent | undefined;
  readonly signal: AbortSignal;
}

const claimMax = 50;
/** The service holds a claim open for so long if there is nothing to check. */
const waitMs = 20_000;
/** At least so much time from one claim that brings nothing to the next: a service that stops, or what stands before it, may answer at once. */
const emptyMs = 1_000;
const backoff = { firstMs: 100, maxMs: 10_000 } as const;

/**
 * Fetches checks, answers them, and so on until the signal aborts. What was fetched and not answered is asked again after its lease: a crash in
 * between costs time and no truth.
 */
export async function runChecks(context: RunChecksContext): Promise<void> {
  const { client, producer, answer, callTimeoutMs, clock, random, onEvent, signal } = context;
  const claim = JSON.stringify({ max: claimMax, waitMs });
  let failures = 0;
  while (!signal.aborted) {
    const fromMs = clock.monotonicMs();
    const calling = client.call({ method: "POST", target: `/v1/producers/${producer}/checks:claim`, body: claim }, waitMs + callTimeoutMs);
    const claimed = await untilAborted(calling, signal);
    if (claimed === null) return; // What it may have claimed is asked again after its lease.
    const checks = checksOf(claimed);
    if (checks === null) {
      failures += 1;
      const asked = claimed.kind === "answered" ? claimed.retryAfterMs : null;
      const afterMs = asked ?? backoffMs(backoff, failures, random);
      emit(onEvent, { name: "producer.claimFailed", producer, reason: reasonOf(claimed), afterMs });
      await wait(clock, afterMs, signal);
      continue;
    }
    failures = 0;
    if (checks.length === 0) {
      await wait(clock, Math.max(0, fromMs + emptyMs - clock.monotonicMs()), signal);
      continue;
    }
    const answers = await answer(checks);
    const body = JSON.stringify({ answers });
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const answered = await client.call({ method: "POST", target: `/v1/producers/${producer}/checks:answer`, body }, callTimeoutMs);
      // An answer may be sent twice: its token counts once.
      if (answered.kind === "answered" && answered.status < 500) break;
    }
  }
}

function checksOf(claimed: ServiceAnswer): ReturnType<typeof checksIn> {
  if (claimed.kind !== "answered" || claimed.status !== 200) return null;
  const { body } = claimed;
  return typeof body === "object" && body !== null ? checksIn((body as { checks?: unknown }).checks) : null;
}

function reasonOf(answer: ServiceAnswer): string {
  return answer.kind === "answered" ? (answer.code ?? `status ${answer.status}`) : answer.reason;
}

/** What `promise` resolves with; null as soon as the signal aborts. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  return new Promise((resolve) => {
    const onAbort = (): void => resolve(null);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(
      (value) => {
        signal.removeEventListener("abort", onAbort);
        resolve(value);
      },
      () => resolve(null), // A client never rejects.
    );
  });
}
