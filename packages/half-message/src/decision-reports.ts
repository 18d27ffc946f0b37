/**
 * Tells the service how a local transaction ended. The fact is in the database and the barrier knows it, so nothing here may fail whoever committed:
 * what cannot be told is found out by a check-back.
 *
 *     commit ─▶ once, and waited for ──▶ reported
 *                 └─ no answer, 429, 5xx ─▶ in the background, with backoff, until decideDeadlineMs ──▶ given up: check-back
 *                 └─ 404 ─▶ the prepare is gone: again with the whole half message
 *                 └─ 409 ─▶ somebody has decided otherwise: told loudly, and not repeated
 *     rollback ─▶ once, a second at most
 */
import { backoffMs, type Clock, emit, type OnEvent, type Random, wait } from "@waybill/core";
import type { ServiceAnswer, ServiceClient } from "./service-client.ts";

/** A half message whose decision is reported. */
export interface ReportedHalfMessage {
  readonly id: string;
  /** As it was prepared, for a service that has lost it. */
  readonly body: string;
}

export interface DecisionReports {
  /** True: the service has it. False: it is told in the background, or by a check-back. Never rejects. */
  commit(half: ReportedHalfMessage): Promise<boolean>;
  /** True: the service has it. One try. Never rejects. */
  rollback(half: Pick<ReportedHalfMessage, "id">, reason?: string): Promise<boolean>;
  /** Waits for what is reported in the background until the deadline, then gives it up to check-back. Never rejects. */
  close(deadlineMs: number): Promise<void>;
}

export interface DecisionReportsOptions {
  readonly client: ServiceClient;
  readonly producer: string;
  readonly callTimeoutMs: number;
  readonly decideDeadlineMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: OnEvent | undefined;
}

const backoff = { firstMs: 50, maxMs: 1_000 } as const;
const rollbackTimeoutMs = 1_000;
/** Reports in the background at once; what comes beyond is left to check-back. */
const backgroundMax = 1_000;

type Ended =
  | { readonly kind: "reported" | "conflict" | "missing" }
  | { readonly kind: "again"; readonly reason: string; readonly afterMs: number | null }
  | { readonly kind: "refused"; readonly reason: string };

export function decisionReports(options: DecisionReportsOptions): DecisionReports {
  const { client, producer, clock, random, onEvent, callTimeoutMs, decideDeadlineMs } = options;
  const background = new Set<Promise<void>>();
  const stop = new AbortController();

  const target = (id: string, verb: "commit" | "rollback"): string => `/v1/producers/${producer}/half-messages/${id}/${verb}`;
  const tellCommit = async ({ id, body }: ReportedHalfMessage, hasBody: boolean): Promise<Ended> => {
    const text = hasBody ? `{"halfMessage":${body}}` : "{}";
    const ended = endOf(await client.call({ method: "POST", target: target(id, "commit"), body: text }, callTimeoutMs));
    return ended.kind === "missing" && !hasBody ? tellCommit({ id, body }, true) : ended;
  };
  /** True: it is over. */
  const note = (id: string, ended: Ended, attempts: number): boolean => {
    const ours = { producer, messageId: id } as const;
    switch (ended.kind) {
      case "reported":
        emit(onEvent, { name: "producer.reported", ...ours, decision: "committed", attempts });
        return true;
      case "conflict":
        emit(onEvent, { name: "producer.decisionConflicted", ...ours, decision: "committed" });
        return true;
      case "missing":
      case "refused":
        emit(onEvent, { name: "producer.reportFailed", ...ours, decision: "committed", reason: reasonOf(ended) });
        return true;
      case "again":
        return false;
    }
  };

  const goOn = async (half: ReportedHalfMessage, first: Ended, untilMs: number): Promise<void> => {
    let ended = first;
    for (let attempts = 1; !note(half.id, ended, attempts); attempts += 1) {
      const asked = ended.kind === "again" ? ended.afterMs : null;
      const afterMs = asked ?? backoffMs(backoff, attempts, random);
      const reason = reasonOf(ended);
      const ours = { producer, messageId: half.id } as const;
      if (clock.monotonicMs() + afterMs >= untilMs || stop.signal.aborted) {
        emit(onEvent, { name: "producer.reportFailed", ...ours, decision: "committed", reason });
        return;
      }
      emit(onEvent, { name: "producer.reportRetrying", ...ours, attempt: attempts, reason, afterMs });
      await wait(clock, afterMs, stop.signal);
      ended = await tellCommit(half, false);
    }
  };

  return {
    async commit(half) {
      const untilMs = clock.monotonicMs() + decideDeadlineMs;
      emit(onEvent, { name: "producer.reporting", producer, messageId: half.id, decision: "committed" });
      const first = await tellCommit(half, false);
      if (first.kind !== "again") return note(half.id, first, 1) && first.kind === "reported";
      if (background.size >= backgroundMax) {
        emit(onEvent, { name: "producer.reportFailed", producer, messageId: half.id, decision: "committed", reason: "tooMany" });
        return false;
      }
      const going = goOn(half, first, untilMs).finally(() => background.delete(going));
      background.add(going);
      return false;
    },

    async rollback({ id }, reason) {
      const ours = { producer, messageId: id, decision: "rolledBack" } as const;
      emit(onEvent, { name: "producer.reporting", ...ours });
      const body = reason === undefined ? "{}" : JSON.stringify({ reason });
      const ended = endOf(
        await client.call({ method: "POST", target: target(id, "rollback"), body }, Math.min(callTimeoutMs, rollbackTimeoutMs)),
      );
      if (ended.kind === "reported") emit(onEvent, { name: "producer.reported", ...ours, attempts: 1 });
      else if (ended.kind === "conflict") emit(onEvent, { name: "producer.decisionConflicted", ...ours });
      else emit(onEvent, { name: "producer.reportFailed", ...ours, reason: reasonOf(ended) });
      return ended.kind === "reported";
    },

    async close(deadlineMs) {
      const timer = clock.setTimer(deadlineMs, () => stop.abort());
      await Promise.all(background);
      timer.cancel();
    },
  };
}

function endOf(answer: ServiceAnswer): Ended {
  if (answer.kind !== "answered") return { kind: "again", reason: answer.reason, afterMs: null };
  const { status, code, retryAfterMs } = answer;
  if (status === 200 || status === 201) return { kind: "reported" };
  if (status === 404 && code === "unknown_half_message") return { kind: "missing" };
  if (status === 409) return { kind: "conflict" };
  const reason = code ?? `status ${status}`;
  return status === 429 || status >= 500 ? { kind: "again", reason, afterMs: retryAfterMs } : { kind: "refused", reason };
}

function reasonOf(ended: Ended): string {
  return "reason" in ended ? ended.reason : ended.kind;
}
