import { describe, expect, test } from "vitest";
import { afterCheck, type CheckAnswer, type CheckSchedule } from "./check-schedule.ts";
import { judge, type Standing } from "./decision.ts";

const schedule: CheckSchedule = {
  pendingDelaysMs: [10_000, 20_000, 30_000],
  unansweredBackoff: { firstMs: 5_000, maxMs: 60_000 },
  suspendedCheckMs: 600_000,
  unfencedGraceMs: 600_000,
  leaseMs: 30_000,
};
/** In the middle: no jitter. */
const random = { fraction: () => 0.5 };
const nowMs = 1_000_000;
const standing: Standing = {
  producer: "payments",
  id: "a",
  state: "prepared",
  version: 1,
  fingerprint: "f",
  messageCount: 1,
  prepareToken: "1",
  barrier: "b",
  orderKey: null,
  traceparent: null,
  nowMs,
  preparedAtMs: nowMs - 60_000,
  checkNotBeforeMs: null,
  suspendAtMs: nowMs + 80_000_000,
  checkAtMs: nowMs + 29_000,
  checkToken: "7",
  checksAnswered: 0,
  checksUnanswered: 0,
  unansweredRun: 0,
  notFoundSinceMs: null,
  lastCheck: null,
  lastCheckAtMs: null,
  decidedAtMs: null,
  decidedBy: null,
};
const answer = (decision: CheckAnswer["decision"], over: Partial<CheckAnswer> = {}): CheckAnswer => ({
  token: "7",
  barrier: "b",
  decision,
  isBinding: false,
  reason: null,
  mayBeUnderWay: false,
  retryAfterMs: null,
  ...over,
});
const delayOf = (over: Partial<Standing>, given: CheckAnswer, random_ = random): number | null =>
  afterCheck({ ...standing, ...over }, given, schedule, random_).checkAfterMs;

describe("after a check that decided nothing", () => {
  test("a pending half message is asked for again in 10 s, 20 s, then every 30 s, for ever", () => {
    const delays = [0, 1, 2, 3, 100, 100_000].map((checksAnswered) => delayOf({ checksAnswered }, answer("pending")));
    expect(delays).toEqual([10_000, 20_000, 30_000, 30_000, 30_000, 30_000]);
  });

  test("without an answer it is asked for again in 5 s doubling to 60 s, counted by the run and by nothing else", () => {
    const delays = [0, 1, 2, 3, 4, 40, 4_000].map((unansweredRun) => delayOf({ unansweredRun, checksAnswered: 9 }, answer("unanswered")));
    expect(delays).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
  });

  test("delays vary by a fifth", () => {
    const [least, most] = [0, 0.999_999].map((fraction) => delayOf({}, answer("pending"), { fraction: () => fraction }));
    expect([least, most]).toEqual([8_000, 12_000]);
  });

  test("a call that may be under way is not repeated before its lease ends", () => {
    expect(delayOf({}, answer("unanswered", { mayBeUnderWay: true }))).toBe(29_000);
    expect(delayOf({}, answer("unanswered"))).toBe(5_000);
    expect(delayOf({ suspendAtMs: nowMs + 100 }, answer("unanswered", { mayBeUnderWay: true }))).toBe(29_000);
  });

  test("a producer may ask for more time, up to a minute", () => {
    expect(delayOf({}, answer("unanswered", { retryAfterMs: 45_000 }))).toBe(45_000);
    expect(delayOf({}, answer("unanswered", { retryAfterMs: 3_600_000 }))).toBe(60_000);
  });

  test("it is asked for neither before the producer wants it, nor after its deadline: once at the deadline", () => {
    expect(delayOf({ checkNotBeforeMs: nowMs + 50_000 }, answer("pending"))).toBe(50_000);
    expect(delayOf({ suspendAtMs: nowMs + 3_000 }, answer("pending"))).toBe(3_000);
    expect(delayOf({ suspendAtMs: nowMs - 500 }, answer("pending"))).toBe(0);
  });

  test("a check made since the deadline that does not decide suspends; one made before it does not", () => {
    const suspended = (suspendAtMs: number, decision: CheckAnswer["decision"]): string | null =>
      afterCheck({ ...standing, suspendAtMs }, answer(decision), schedule, random).suspend;
    // The lease tells when the check was made: a second ago.
    expect(suspended(nowMs - 1_000, "pending")).toBe("deadline");
    expect(suspended(nowMs - 1_000, "unanswered")).toBe("deadline");
    expect(suspended(nowMs - 999, "pending")).toBe(null);
  });

  test("a barrier too young to know suspends at once, and is asked slowly from then on", () => {
    const after = afterCheck(standing, answer("expired"), schedule, random);
    expect([after.suspend, after.checkAfterMs]).toEqual(["barrier_expired", 600_000]);
    expect(afterCheck({ ...standing, state: "suspended", suspendAtMs: null }, answer("expired"), schedule, random).suspend).toBe(null);
  });

  test("not found suspends after its grace, unbroken, and never rolls back; a rollback that is not binding is as much", () => {
    for (const given of [answer("not_found"), answer("rolled_back")]) {
      expect(afterCheck(standing, given, schedule, random)).toMatchObject({ notFound: "begins", suspend: null, lastCheck: "not_found" });
      const later = afterCheck({ ...standing, notFoundSinceMs: nowMs - 599_999 }, given, schedule, random);
      expect(later).toMatchObject({ notFound: "goesOn", suspend: null });
      const past = afterCheck({ ...standing, notFoundSinceMs: nowMs - 600_000 }, given, schedule, random);
      expect(past.suspend).toBe("not_binding");
      expect(judge({ kind: "check", answer: given, schedule }, { ...standing, notFoundSinceMs: 0 }, random).kind).toBe("checked");
    }
    expect(afterCheck({ ...standing, notFoundSinceMs: 0 }, answer("pending"), schedule, random).notFound).toBe("ends");
    expect(afterCheck({ ...standing, notFoundSinceMs: 0 }, answer("unanswered"), schedule, random).notFound).toBe("goesOn");
  });

  test("what is suspended is asked for slowly, or not at all if so configured", () => {
    const suspended = { ...standing, state: "suspended", suspendAtMs: null } as const;
    expect(afterCheck(suspended, answer("pending"), schedule, random).checkAfterMs).toBe(600_000);
    expect(afterCheck(suspended, answer("pending"), { ...schedule, suspendedCheckMs: 0 }, random).checkAfterMs).toBe(null);
  });
});

describe("an answer decides", () => {
  const verdict = (given: CheckAnswer, over: Partial<Standing> = {}): unknown =>
    judge({ kind: "check", answer: given, schedule }, { ...standing, ...over }, random);

  test("only committed, or a binding rollback, under the lease's token and about the same barrier", () => {
    expect(verdict(answer("committed"))).toEqual({ kind: "decide", to: "committed" });
    expect(verdict(answer("rolled_back", { isBinding: true }))).toEqual({ kind: "decide", to: "rolled_back" });
    expect(verdict(answer("rolled_back"))).toMatchObject({ kind: "checked", isAnswered: true });
    expect(verdict(answer("committed"), { state: "suspended" })).toEqual({ kind: "decide", to: "committed" });
    expect(verdict(answer("committed", { token: "8" }))).toMatchObject({ kind: "refused", code: "stale_token" });
    expect(verdict(answer("committed", { barrier: "other" }))).toMatchObject({ kind: "checked", isAnswered: false, mismatch: true });
    expect(verdict(answer("committed", { barrier: null }))).toMatchObject({ kind: "checked", isAnswered: false, mismatch: true });
  });

  test("nothing of what is decided already, and a contradiction is told", () => {
    expect(verdict(answer("committed"), { state: "committed" })).toMatchObject({ code: "already_decided", log: null });
    expect(verdict(answer("committed"), { state: "rolled_back" })).toMatchObject({ code: "conflict", log: "conflict" });
    expect(verdict(answer("pending"), { state: "rolled_back" })).toMatchObject({ code: "already_decided", log: null });
  });
});
