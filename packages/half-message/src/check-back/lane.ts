/**
 * The checks of one producer, by themselves: whatever happens to it is nobody else's business.
 *
 *     due ─▶ claim as many as one call takes ─▶ ask ─▶ record each answer under its token ─▶ more due? again
 *              └ calls at once < concurrency, breaker closed; half open: one check
 *
 * A claim is a lease: nobody else asks for these until it ends. We ask only while more of it is left than the call may take, by our own clock counted from
 * before the claim. A crash after the claim, or after the call, costs the lease's time: then somebody asks again, and the producer's barrier says the same.
 */
import {
  afterFailure,
  afterSuccess,
  type BreakerPolicy,
  type Clock,
  closedBreaker,
  emit,
  mayPass,
  type OnEvent,
  type Random,
} from "@waybill/core";
import type { Database } from "@waybill/sql";
import type { CheckSchedule } from "../check-schedule.ts";
import { codeOf } from "../code-of.ts";
import type { ClaimedCheck, HalfMessageStore } from "../store.ts";
import type { Asked, Asker } from "./asker.ts";
import { type RecordContext, recordAnswer } from "./record-answer.ts";

export interface LaneOptions {
  readonly producer: string;
  readonly asker: Asker;
  readonly schedule: CheckSchedule;
  readonly checkTimeoutMs: number;
  readonly checkBatch: number;
  readonly checkConcurrency: number;
  readonly breaker: BreakerPolicy;
}

export interface LaneContext extends RecordContext {
  readonly store: Pick<HalfMessageStore, "claimChecks" | "releaseChecks">;
  readonly database: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: OnEvent | undefined;
}

export interface Lane {
  /** Something is due: asks as far as it may. Returns at once. */
  pump(): void;
  /** When it may ask again, by the monotonic clock; null: now. */
  blockedUntilMs(): number | null;
  /** Since when nobody has answered, by the monotonic clock; null: the last call was answered. */
  silentSinceMs(): number | null;
  /** Claims no more, and resolves when what is under way is recorded. */
  stop(): Promise<void>;
}

export function createLane(options: LaneOptions, context: LaneContext): Lane {
  const { producer, asker, schedule, checkTimeoutMs, checkBatch, checkConcurrency, breaker: policy } = options;
  const { store, database, clock, random, onEvent } = context;
  const { leaseMs } = schedule;
  // A quarter less: our clock need not run like the database's.
  const trustMs = (leaseMs * 3) / 4;
  const calls = new Set<Promise<void>>();
  let breaker = closedBreaker;
  let pausedUntilMs = 0;
  let silentSinceMs: number | null = null;
  let pumping: Promise<void> | null = null;
  let isWanted = false;
  let isStopped = false;

  const isHalfOpen = (): boolean => breaker.failures >= policy.failuresMax;
  const mayAsk = (): boolean => {
    const nowMs = clock.monotonicMs();
    if (isStopped || nowMs < pausedUntilMs || !mayPass(breaker, nowMs)) return false;
    return calls.size < (isHalfOpen() ? 1 : checkConcurrency);
  };

  const claimAndAsk = async (): Promise<void> => {
    while (isWanted && mayAsk()) {
      const max = isHalfOpen() ? 1 : checkBatch;
      const fromMs = clock.monotonicMs();
      let claimed: readonly ClaimedCheck[];
      try {
        claimed = await store.claimChecks(database, producer, max, leaseMs);
      } catch (error) {
        emit(onEvent, { name: "halfMessage.checkClaimFailed", producer, code: codeOf(error) });
        isWanted = false; // The loop comes again.
        return;
      }
      if (claimed.length < max) isWanted = false;
      if (claimed.length === 0) return;
      if (isStopped) return release(claimed);
      const call = askAndRecord(claimed, fromMs).finally(() => {
        calls.delete(call);
        pump();
      });
      calls.add(call);
    }
  };

  const askAndRecord = async (claimed: readonly ClaimedCheck[], fromMs: number): Promise<void> => {
    const mayWrite = (): boolean => clock.monotonicMs() - fromMs + checkTimeoutMs < trustMs;
    if (!mayWrite()) return release(claimed);
    emit(onEvent, { name: "halfMessage.checksAsking", producer, checks: claimed.length });
    // An asker rejects for a fault of ours only; then, too, the lease ends and somebody asks again.
    const asked = await asker
      .ask(claimed, { deadlineMs: checkTimeoutMs, mayWrite })
      .catch((error: unknown): Asked => ({ kind: "failed", reason: codeOf(error), mayBeUnderWay: true, retryAfterMs: null }));
    note(asked);
    emit(onEvent, {
      name: "halfMessage.checksAsked",
      producer,
      checks: claimed.length,
      failure: asked.kind === "failed" ? asked.reason : null,
    });
    await Promise.all(claimed.map((check) => record(check, asked)));
  };

  const record = async (check: ClaimedCheck, asked: Asked): Promise<void> => {
    const answer = (asked.kind === "answered" ? asked.answers.get(check.id) : undefined) ?? null;
    const failure = asked.kind === "failed" ? asked : { mayBeUnderWay: false, retryAfterMs: null };
    const { mayBeUnderWay, retryAfterMs } = failure;
    try {
      await recordAnswer(context, producer, schedule, { check, answer, mayBeUnderWay, retryAfterMs });
    } catch (error) {
      emit(onEvent, { name: "halfMessage.checkNotRecorded", producer, messageId: check.id, code: codeOf(error) });
    }
  };

  const note = (asked: Asked): void => {
    const nowMs = clock.monotonicMs();
    const wasOpen = breaker.probeAtMs !== null;
    if (asked.kind === "answered") {
      breaker = afterSuccess();
      silentSinceMs = null;
      if (wasOpen) context.metrics.set("waybill_half_breaker_open", { of: `producer/${producer}` }, 0);
      return;
    }
    silentSinceMs ??= nowMs;
    breaker = afterFailure(breaker, policy, nowMs, random);
    if (asked.retryAfterMs !== null) pausedUntilMs = nowMs + Math.min(asked.retryAfterMs, policy.maxMs);
    if (!wasOpen && breaker.probeAtMs !== null)
      emit(onEvent, { name: "halfMessage.producerBlocked", producer, failures: breaker.failures });
  };

  const release = async (claimed: readonly ClaimedCheck[]): Promise<void> => {
    try {
      await store.releaseChecks(database, producer, claimed);
    } catch (error) {
      emit(onEvent, { name: "halfMessage.checkNotRecorded", producer, messageId: claimed[0]?.id ?? "", code: codeOf(error) });
    }
  };

  const pump = (): void => {
    if (pumping !== null || !isWanted || !mayAsk()) return;
    pumping = claimAndAsk().finally(() => {
      pumping = null;
      // Something became due, or a call ended, while the last claim was under way.
      pump();
    });
  };

  return {
    pump() {
      isWanted = true;
      pump();
    },
    blockedUntilMs() {
      const untilMs = Math.max(pausedUntilMs, breaker.probeAtMs ?? 0);
      return untilMs > clock.monotonicMs() ? untilMs : null;
    },
    silentSinceMs: () => silentSinceMs,
    async stop() {
      isStopped = true;
      await pumping;
      await Promise.all(calls);
    },
  };
}
