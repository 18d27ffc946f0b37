/**
 * Checks for producers that nobody can call: they come and ask, and may wait for some. What they got is leased as any other check is; what they do not
 * answer is due again when the lease ends.
 */
import { type Clock, wait } from "@waybill/core";
import type { Database, Units } from "@waybill/sql";
import type { CheckDesk } from "../api/check-routes.ts";
import { contradict } from "../check-protocol.ts";
import type { CheckSchedule } from "../check-schedule.ts";
import type { HalfMessageStore } from "../store.ts";
import { type RecordContext, recordAnswer } from "./record-answer.ts";

/** Those who wait are told when something is due, and sent home at the end. */
export interface PullDesk extends CheckDesk {
  wake(producer: string): void;
  stop(): void;
}

export interface PullDeskOptions extends RecordContext {
  /** Of the producers that pull. */
  readonly schedules: ReadonlyMap<string, CheckSchedule>;
  readonly store: Pick<HalfMessageStore, "claimChecks" | "read">;
  readonly database: Database;
  readonly clock: Clock;
}

export function createPullDesk(options: PullDeskOptions): PullDesk {
  const { schedules, store, database, clock } = options;
  const waiting = new Map<string, Set<AbortController>>();
  const stopped = new AbortController();

  /** Waits until something is due, the caller is gone, or the time is over. */
  const waitForDue = async (producer: string, ms: number, signal: AbortSignal): Promise<void> => {
    const woken = new AbortController();
    const others = waiting.get(producer) ?? new Set();
    waiting.set(producer, others.add(woken));
    await wait(clock, ms, AbortSignal.any([woken.signal, signal, stopped.signal]));
    others.delete(woken);
  };

  return {
    async claim(producer, { max, waitMs, signal, once }) {
      const { leaseMs } = scheduleOf(schedules, producer);
      const untilMs = clock.monotonicMs() + waitMs;
      let isFirst = true;
      // The request's number is written with the first claim, even one that finds nothing: a replay claims nothing ever.
      const units: Units = {
        unitOfWork: (work, unit) => {
          const writesNumber = isFirst;
          return database.unitOfWork(async (tx) => {
            if (writesNumber) await once(tx);
            return work(tx);
          }, unit);
        },
      };
      for (;;) {
        const checks = await store.claimChecks(units, producer, max, leaseMs);
        isFirst = false;
        const leftMs = untilMs - clock.monotonicMs();
        if (checks.length > 0 || leftMs <= 0 || stopped.signal.aborted) return { leaseMs, checks };
        await waitForDue(producer, leftMs, signal);
        // Whoever has gone gets none: they would be leased in vain.
        if (signal.aborted) return { leaseMs, checks: [] };
      }
    },

    async answer(producer, answers) {
      const schedule = scheduleOf(schedules, producer);
      return Promise.all(
        answers.map(async (given) => {
          const { id, token } = given;
          const standing = await store.read(database, producer, id);
          if (standing === null) return { id, applied: false, state: null, why: "unknown_half_message" };
          if (answers.some((other) => contradict(given, other))) return { id, applied: false, state: standing.state, why: "contradiction" };
          const checkNumber = standing.checksAnswered + standing.checksUnanswered + 1;
          const check = { id, token, checkNumber };
          const { verdict, after } = await recordAnswer(options, producer, schedule, {
            check,
            answer: given,
            mayBeUnderWay: false,
            retryAfterMs: null,
          });
          const state = after?.state ?? standing.state;
          if (verdict.kind === "refused") return { id, applied: false, state, why: verdict.code };
          if (verdict.kind === "checked" && verdict.mismatch === true) return { id, applied: false, state, why: "barrier_mismatch" };
          return { id, applied: true, state };
        }),
      );
    },

    wake(producer) {
      for (const woken of waiting.get(producer) ?? []) woken.abort();
    },

    stop: () => stopped.abort(),
  };
}

function scheduleOf(schedules: ReadonlyMap<string, CheckSchedule>, producer: string): CheckSchedule {
  const schedule = schedules.get(producer);
  if (schedule === undefined) throw new Error("Somebody pulls for a producer that does not.");
  return schedule;
}
