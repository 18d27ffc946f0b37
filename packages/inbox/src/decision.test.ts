import { waybillError } from "@waybill/core";
import { expect, test } from "vitest";
import { codeOf, decide, decideAfterAttempt, isRepeatPossible, judgeFailure, unfinished } from "./decision.ts";

const known = { isTypeKnown: true, isPoison: false, hasUsableId: true, isLastChance: false };
const database = (sqlState: string | null, errno: number | null = null): Error =>
  waybillError("WAYBILL_DATABASE", "no", { operation: "inbox", sqlState, errno, isTransient: true });

test("a claimed message runs, unless its type is unknown, its id unusable or its attempts never ended", () => {
  const claimed = { kind: "claimed" } as const;
  expect(decide(claimed, known)).toEqual({ kind: "run" });
  expect(decide(claimed, { ...known, isTypeKnown: false })).toEqual({ kind: "putAside", reason: "unknownType", isClaimed: true });
  expect(decide(claimed, { ...known, isPoison: true })).toEqual({ kind: "putAside", reason: "poison", isClaimed: true });
  expect(decide(claimed, { ...known, hasUsableId: false })).toEqual({ kind: "putAside", reason: "messageIdInvalid", isClaimed: true });
});

test("a message that its broker is about to delete is put aside without a further attempt, and settled as any other if it was handled", () => {
  const last = { ...known, isLastChance: true };
  expect(decide({ kind: "claimed" }, last)).toEqual({ kind: "putAside", reason: "deliveryLimit", isClaimed: true });
  expect(decide({ kind: "handled", isSameContent: true }, last)).toEqual({ kind: "settle", as: "duplicate" });
  expect(decide({ kind: "mustWait" }, last)).toEqual({ kind: "hold" });
});

test("a message that was handled or put aside is settled, whether its type is known or not", () => {
  for (const isTypeKnown of [true, false]) {
    expect(decide({ kind: "handled", isSameContent: true }, { ...known, isTypeKnown })).toEqual({ kind: "settle", as: "duplicate" });
    expect(decide({ kind: "onFile", isSameContent: true }, { ...known, isTypeKnown })).toEqual({ kind: "settle", as: "deadLettered" });
  }
});

test("other content under a known id is put aside and never run", () => {
  const flagged = { kind: "putAside", reason: "sameIdOtherContent", isClaimed: false };
  expect(decide({ kind: "handled", isSameContent: false }, known)).toEqual(flagged);
  expect(decide({ kind: "onFile", isSameContent: false }, known)).toEqual(flagged);
});

test("a message waits behind its lane, and is refused when it is older than what is remembered", () => {
  expect(decide({ kind: "mustWait" }, known)).toEqual({ kind: "hold" });
  expect(decide({ kind: "tooOld" }, known)).toEqual({ kind: "putAside", reason: "olderThanRetention", isClaimed: false });
});

test("a start is counted only where a repeat is possible", () => {
  const steady = { redelivered: false, receivedBefore: 100, prefetch: 100, hasFailed: false };
  expect(isRepeatPossible(steady)).toBe(false);
  expect(isRepeatPossible({ ...steady, redelivered: true })).toBe(true);
  expect(isRepeatPossible({ ...steady, redelivered: null })).toBe(true);
  expect(isRepeatPossible({ ...steady, receivedBefore: 99 })).toBe(true);
  expect(isRepeatPossible({ ...steady, hasFailed: true })).toBe(true);
});

test("an attempt that ended badly counts as failed, one that never ended as started, and a disturbance not at all", () => {
  const at = { phase: "handling", isDeadlinePassed: false, isStopped: false } as const;
  expect(judgeFailure(new Error("no stock"), at)).toEqual({ kind: "attempt", isFailed: true });
  expect(judgeFailure(database("23505"), { ...at, phase: "handled" })).toEqual({ kind: "attempt", isFailed: true });
  expect(judgeFailure(database(null), at)).toEqual({ kind: "attempt", isFailed: true });
  expect(judgeFailure(new Error("late"), { ...at, isDeadlinePassed: true })).toEqual({ kind: "attempt", isFailed: false });
  expect(judgeFailure(database("40P01"), at)).toEqual({ kind: "disturbed" });
  expect(judgeFailure(database("40001"), at)).toEqual({ kind: "disturbed" });
  expect(judgeFailure(database("HY000", 1205), at)).toEqual({ kind: "disturbed" });
  expect(judgeFailure(database("HY000", 1366), at)).toEqual({ kind: "attempt", isFailed: true });
  expect(judgeFailure(database(null), { ...at, phase: "before" })).toEqual({ kind: "disturbed" });
  expect(judgeFailure(new Error("cut"), { ...at, isStopped: true })).toEqual({ kind: "stopped" });
});

test("a rejection is a dead letter at once, whenever it comes", () => {
  const rejection = waybillError("WAYBILL_MESSAGE_REJECTED", "no", { reason: "noSuchOrder" });
  const at = { phase: "handling", isDeadlinePassed: true, isStopped: true } as const;
  expect(judgeFailure(rejection, at)).toEqual({ kind: "rejected", reason: "noSuchOrder" });
});

test("attempts end at their limit, those that never ended at theirs", () => {
  const policy = { attemptsMax: 3, poisonAttempts: 2, firstMs: 100, maxMs: 1_000, random: { fraction: () => 0.5 } };
  expect(decideAfterAttempt({ started: 1, failed: 1 }, "E", policy)).toEqual({ kind: "again", afterMs: 50 });
  expect(decideAfterAttempt({ started: 2, failed: 2 }, "E", policy)).toEqual({ kind: "again", afterMs: 100 });
  expect(decideAfterAttempt({ started: 3, failed: 3 }, "E", policy)).toEqual({ kind: "putAside", reason: "attemptsExhausted:E" });
  expect(decideAfterAttempt({ started: 2, failed: 0 }, "E", policy)).toEqual({ kind: "putAside", reason: "poison" });
  expect(unfinished({ started: 1, failed: 2 })).toBe(0);
  const endless = { ...policy, attemptsMax: null };
  expect(decideAfterAttempt({ started: 1_000, failed: 1_000 }, "E", endless)).toEqual({ kind: "again", afterMs: 500 });
  expect(decideAfterAttempt({ started: 1_000, failed: 998 }, "E", endless)).toEqual({ kind: "putAside", reason: "poison" });
  expect(decideAfterAttempt({ started: 1, failed: 1 }, "E", policy, 7)).toEqual({ kind: "again", afterMs: 7 });
  expect(decideAfterAttempt({ started: 3, failed: 3 }, "E", policy, 7).kind).toBe("putAside");
});

test("the code of an error never holds what its message holds", () => {
  expect(codeOf(database("23505"))).toBe("SQLSTATE_23505");
  expect(codeOf(database("HY000", 1366))).toBe("MYSQL_1366");
  expect(codeOf(database(null))).toBe("WAYBILL_DATABASE");
  expect(codeOf(new TypeError("order of ann@example.com"))).toBe("TypeError");
  expect(codeOf(Object.assign(new Error("x"), { code: "ECONNREFUSED" }))).toBe("ECONNREFUSED");
  expect(codeOf(Object.assign(new Error("x"), { code: "ann@example.com", name: "ann@example.com" }))).toBe("UNKNOWN");
  expect(codeOf("ann@example.com")).toBe("UNKNOWN");
});

test("a unit whose own time is over before that of its handler is nobody's fault", () => {
  const at = { phase: "handling", isDeadlinePassed: false, isStopped: false } as const;
  const over = (operation: string): Error => waybillError("WAYBILL_DEADLINE", "late", { operation, deadlineMs: 5 });
  for (const operation of ["inbox", "inbox batch"]) {
    expect(judgeFailure(over(operation), at)).toEqual({ kind: "disturbed" });
    expect(judgeFailure(over(operation), { ...at, isDeadlinePassed: true })).toEqual({ kind: "attempt", isFailed: false });
  }
  expect(judgeFailure(over("another database"), at)).toEqual({ kind: "attempt", isFailed: true });
});
