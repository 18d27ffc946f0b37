/**
 * How a half message is decided: what stands in its row and what somebody wishes go in, what is to be written comes out. No I/O.
 *
 *                 ┌── commit with body ──────────────────────────────────────────────────────▶ committed ──▶ deliveries
 *                 │                          ┌── commit · check: committed · operator ────────▶     │
 *      (none) ────┼── prepare ──▶ prepared ──┤                                                both are final
 *                 │         deadline │   ▲   └── rollback · check: rolled back, binding · op. ▶     │
 *                 │                  ▼   │ resume                                                   │
 *                 │             suspended: the same decisions, by the same guards                   │
 *                 └── rollback before prepare ───────────────────────────────────────────────▶ rolled_back, a tombstone
 *
 * Whoever calls this holds the row's lock, so what is judged here is what is written. A check under way is a lease on the row and no state of it: a
 * producer's decision never waits for one. Time never decides: a deadline suspends.
 */

import type { Random } from "@waybill/core";
import type { CheckAnswer, CheckSchedule } from "./check-schedule.ts";
import { type AfterCheck, afterCheck } from "./check-schedule.ts";

/** What can no longer change. */
export type Decided = "committed" | "rolled_back";

export type HalfMessageState = "prepared" | "suspended" | Decided;

/** A half message's row, without its bodies. Times are milliseconds since 1970 by the database's clock; `nowMs` is that clock, too. */
export interface Standing {
  readonly producer: string;
  readonly id: string;
  readonly state: HalfMessageState;
  readonly version: number;
  /** Hexadecimal; null: rolled back before it was prepared. */
  readonly fingerprint: string | null;
  readonly messageCount: number;
  /** Random, of the request that inserted the row. */
  readonly prepareToken: string;
  readonly barrier: string | null;
  readonly orderKey: string | null;
  readonly traceparent: string | null;
  readonly nowMs: number;
  readonly preparedAtMs: number;
  readonly checkNotBeforeMs: number | null;
  readonly suspendAtMs: number | null;
  /** While `checkToken` is set: when its lease ends. */
  readonly checkAtMs: number | null;
  readonly checkToken: string | null;
  readonly checksAnswered: number;
  readonly checksUnanswered: number;
  readonly unansweredRun: number;
  readonly notFoundSinceMs: number | null;
  readonly lastCheck: string | null;
  readonly lastCheckAtMs: number | null;
  readonly decidedAtMs: number | null;
  readonly decidedBy: string | null;
}

/** What somebody wants of one half message. */
export type Wish =
  /** A producer's commit; with the fingerprint of the body that came along, if one did. `mayCreate`: that body can be stored. */
  | { readonly kind: "commit"; readonly fingerprint: string | null; readonly mayCreate: boolean }
  | { readonly kind: "rollback" }
  | { readonly kind: "extend"; readonly forMs: number }
  /** What a check found out. */
  | { readonly kind: "check"; readonly answer: CheckAnswer; readonly schedule: CheckSchedule }
  /** The deadline has passed, and no check can be made. */
  | { readonly kind: "suspend"; readonly graceMs: number; readonly checkAfterMs: number | null }
  | { readonly kind: "resume"; readonly suspendAfterMs: number }
  | { readonly kind: "checkNow" }
  | { readonly kind: "force"; readonly to: Decided };

export type RefusalCode =
  | "unknown_half_message"
  | "already_committed"
  | "already_rolled_back"
  | "suspended"
  | "not_suspended"
  | "payload_mismatch"
  /** Of checks only, where they are results and no problems. */
  | "already_decided"
  | "stale_token"
  | "conflict"
  | "barrier_mismatch";

/** What is written for a wish. */
export type Verdict =
  | { readonly kind: "create"; readonly to: Decided }
  | { readonly kind: "decide"; readonly to: Decided }
  /** The check goes on; `suspend` says why, if it also suspends. */
  | ({ readonly kind: "checked" } & AfterCheck)
  | { readonly kind: "extend"; readonly notBeforeMs: number }
  | { readonly kind: "suspend"; readonly reason: string; readonly checkAfterMs: number | null }
  | { readonly kind: "resume"; readonly suspendAfterMs: number }
  | { readonly kind: "checkNow" }
  /** As wished already. */
  | { readonly kind: "stands" }
  /** `log`: what is entered in the log besides, where the refusal itself is news. */
  | { readonly kind: "refused"; readonly code: RefusalCode; readonly log: "conflict" | "barrier_mismatch" | null };

export function isDecided(state: HalfMessageState): state is Decided {
  return state === "committed" || state === "rolled_back";
}

/** What becomes of a wish, given the row as it stands; null: there is none. */
export function judge(wish: Wish, standing: Standing | null, random: Random): Verdict {
  if (standing === null) return withoutRow(wish);
  switch (wish.kind) {
    case "commit":
      if (wish.fingerprint !== null && standing.fingerprint !== null && wish.fingerprint !== standing.fingerprint) {
        return { kind: "refused", code: "payload_mismatch", log: null };
      }
      return decide("committed", standing);
    case "rollback":
      return decide("rolled_back", standing);
    case "force":
      return decide(wish.to, standing);
    case "extend":
      if (isDecided(standing.state)) return refusedAsDecided(standing.state, null);
      if (standing.state === "suspended") return { kind: "refused", code: "suspended", log: null };
      return { kind: "extend", notBeforeMs: Math.min(standing.nowMs + wish.forMs, standing.suspendAtMs ?? 0) };
    case "check":
      return checked(wish.answer, wish.schedule, standing, random);
    case "suspend":
      if (standing.state !== "prepared" || standing.nowMs < (standing.suspendAtMs ?? 0) + wish.graceMs) return { kind: "stands" };
      return { kind: "suspend", reason: "deadline", checkAfterMs: wish.checkAfterMs };
    case "resume":
      if (isDecided(standing.state)) return refusedAsDecided(standing.state, null);
      if (standing.state === "prepared") return { kind: "refused", code: "not_suspended", log: null };
      return { kind: "resume", suspendAfterMs: wish.suspendAfterMs };
    case "checkNow":
      return isDecided(standing.state) ? refusedAsDecided(standing.state, null) : { kind: "checkNow" };
  }
}

/** A row as it stands after a decision that `decide` allowed. `lastCheck`: of the check that decided, if one did. */
export function decidedStanding(before: Standing, to: Decided, by: string, lastCheck: string | null, decidedAtMs: number): Standing {
  const answered = lastCheck === null ? {} : { checksAnswered: before.checksAnswered + 1, lastCheck, lastCheckAtMs: decidedAtMs };
  const undone = { suspendAtMs: null, checkAtMs: null, checkToken: null };
  return { ...before, ...answered, ...undone, state: to, version: before.version + 1, decidedAtMs, decidedBy: by };
}

/** A repeat of what stands changes nothing; the opposite changes nothing either, and is told. */
function decide(to: Decided, { state }: Standing): Verdict {
  if (state === to) return { kind: "stands" };
  return isDecided(state) ? refusedAsDecided(state, "conflict") : { kind: "decide", to };
}

function refusedAsDecided(state: Decided, log: "conflict" | null): Verdict {
  return { kind: "refused", code: state === "committed" ? "already_committed" : "already_rolled_back", log };
}

function withoutRow(wish: Wish): Verdict {
  if (wish.kind === "commit" && wish.mayCreate) return { kind: "create", to: "committed" };
  if (wish.kind === "rollback") return { kind: "create", to: "rolled_back" };
  return { kind: "refused", code: "unknown_half_message", log: null };
}

/** Only an answer under the lease's token, about the barrier that was prepared with, counts; and only a binding one rolls back. */
function checked(answer: CheckAnswer, schedule: CheckSchedule, standing: Standing, random: Random): Verdict {
  const decides = decidedBy(answer);
  if (isDecided(standing.state)) {
    const contradicts = decides !== null && decides !== standing.state && answer.barrier === standing.barrier;
    return contradicts ? { kind: "refused", code: "conflict", log: "conflict" } : { kind: "refused", code: "already_decided", log: null };
  }
  if (answer.token !== standing.checkToken) return { kind: "refused", code: "stale_token", log: null };
  if (answer.decision !== "unanswered" && answer.barrier !== standing.barrier) {
    return { kind: "checked", ...afterCheck(standing, { ...answer, decision: "unanswered" }, schedule, random), mismatch: true };
  }
  if (decides !== null) return { kind: "decide", to: decides };
  return { kind: "checked", ...afterCheck(standing, answer, schedule, random) };
}

/** What an answer decides; null: nothing. */
function decidedBy({ decision, isBinding }: CheckAnswer): Decided | null {
  if (decision === "committed") return "committed";
  return decision === "rolled_back" && isBinding ? "rolled_back" : null;
}
