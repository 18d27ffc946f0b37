/**
 * When a half message is asked for next, after a check that decided nothing. Pure.
 *
 * The budget is elapsed time, never a number of attempts: a producer that is down for long is asked again when it is back. Nobody's silence
 * counts towards any limit. A check is made at the deadline; if it does not decide either, the half message is suspended, and asked for slowly.
 */
import type { Random } from "@waybill/core";
import type { Standing } from "./decision.ts";

/** What a check brought, as far as it concerns one half message. Whatever was no valid answer is `unanswered`. */
export interface CheckAnswer {
  /** Of the claim: the fence. */
  readonly token: string;
  readonly barrier: string | null;
  readonly decision: "committed" | "rolled_back" | "pending" | "not_found" | "expired" | "unanswered";
  /** Only with `rolled_back`: the producer's database already refuses a late commit. */
  readonly isBinding: boolean;
  readonly reason: string | null;
  /** True: the call may still be under way at the producer. It is not asked again before the lease ends, so that nobody has one id twice at once. */
  readonly mayBeUnderWay: boolean;
  /** How long the producer asked us to wait. */
  readonly retryAfterMs: number | null;
}

/** Delays, in milliseconds; those of one producer. */
export interface CheckSchedule {
  /** After pending and not_found; the last repeats. */
  readonly pendingDelaysMs: readonly number[];
  readonly unansweredBackoff: { readonly firstMs: number; readonly maxMs: number };
  /** 0: suspended half messages are not asked for. */
  readonly suspendedCheckMs: number;
  readonly unfencedGraceMs: number;
  readonly leaseMs: number;
}

/** What is written after a check that decided nothing. */
export interface AfterCheck {
  readonly isAnswered: boolean;
  /** For `last_check`. */
  readonly lastCheck: string;
  /** null: none is made. */
  readonly checkAfterMs: number | null;
  readonly notFound: "begins" | "goesOn" | "ends";
  /** Why it is suspended besides; null: it is not. */
  readonly suspend: "deadline" | "barrier_expired" | "not_binding" | null;
  /** It named another barrier than the one that was prepared with. */
  readonly mismatch?: boolean;
}

/** ±20 %, so that what failed together does not come back together. */
const jitter = 0.2;

export function afterCheck(standing: Standing, answer: CheckAnswer, schedule: CheckSchedule, random: Random): AfterCheck {
  const isAnswered = answer.decision !== "unanswered";
  const isNotFound = answer.decision === "not_found" || answer.decision === "rolled_back";
  const notFound = isNotFound ? (standing.notFoundSinceMs === null ? "begins" : "goesOn") : isAnswered ? "ends" : "goesOn";
  const lastCheck = answer.decision === "rolled_back" ? "not_found" : answer.decision;
  const suspend = standing.state === "prepared" ? suspendReason(standing, answer, schedule, isNotFound) : null;
  const isSuspended = suspend !== null || standing.state === "suspended";
  const plainMs = isSuspended ? suspendedDelayMs(schedule) : preparedDelayMs(standing, answer, schedule, random);
  const leaseLeftMs = answer.mayBeUnderWay ? (standing.checkAtMs ?? standing.nowMs) - standing.nowMs : 0;
  const checkAfterMs = plainMs === null ? null : Math.max(plainMs, leaseLeftMs);
  return { isAnswered, lastCheck, checkAfterMs, notFound, suspend };
}

function suspendReason(
  { nowMs, notFoundSinceMs, suspendAtMs, checkAtMs }: Standing,
  answer: CheckAnswer,
  { unfencedGraceMs, leaseMs }: CheckSchedule,
  isNotFound: boolean,
): AfterCheck["suspend"] {
  if (answer.decision === "expired") return "barrier_expired";
  if (isNotFound && notFoundSinceMs !== null && nowMs - notFoundSinceMs >= unfencedGraceMs) return "not_binding";
  const claimedAtMs = (checkAtMs ?? nowMs) - leaseMs;
  return suspendAtMs !== null && claimedAtMs >= suspendAtMs ? "deadline" : null;
}

function suspendedDelayMs({ suspendedCheckMs }: CheckSchedule): number | null {
  return suspendedCheckMs === 0 ? null : suspendedCheckMs;
}

/** Longer waits that a producer asks for are cut: it may slow us down, not switch us off. */
const retryAfterMsMax = 60_000;

/** Never before what the producer asked for, and never after the deadline: one check is made then. */
function preparedDelayMs(standing: Standing, { decision, retryAfterMs }: CheckAnswer, schedule: CheckSchedule, random: Random): number {
  const { nowMs, suspendAtMs, checkNotBeforeMs } = standing;
  const isAnswered = decision !== "unanswered";
  const { pendingDelaysMs, unansweredBackoff } = schedule;
  const plainMs = isAnswered
    ? (pendingDelaysMs[Math.min(standing.checksAnswered, pendingDelaysMs.length - 1)] ?? 0)
    : Math.min(unansweredBackoff.maxMs, unansweredBackoff.firstMs * 2 ** Math.min(standing.unansweredRun, 40));
  const jitteredMs = Math.round(plainMs * (1 - jitter + 2 * jitter * random.fraction()));
  const wantedMs = Math.max(jitteredMs, (checkNotBeforeMs ?? nowMs) - nowMs, Math.min(retryAfterMs ?? 0, retryAfterMsMax));
  return Math.max(0, Math.min(wantedMs, (suspendAtMs ?? nowMs + wantedMs) - nowMs));
}
