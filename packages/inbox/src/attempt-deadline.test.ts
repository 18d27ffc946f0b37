import { isWaybillError } from "@waybill/core";
import { manualClock } from "@waybill/testing";
import { expect, test } from "vitest";
import { attemptDeadline } from "./attempt-deadline.ts";

test("a handler that is not done in time is waited for no longer, and its signal aborts", async () => {
  const clock = manualClock();
  const deadline = attemptDeadline(clock, 1_000, new AbortController().signal);
  const running = deadline.during(() => new Promise(() => undefined)).catch((caught: unknown) => caught);
  await clock.advance(999);
  expect(deadline.signal.aborted).toBe(false);
  await clock.advance(1);
  expect(isWaybillError(await running, "WAYBILL_DEADLINE")).toBe(true);
  expect([deadline.isPassed(), deadline.isCut(), deadline.signal.aborted]).toEqual([true, false, true]);
});

test("the time runs from the first start of the handler, over its repetitions", async () => {
  const clock = manualClock();
  const deadline = attemptDeadline(clock, 1_000, new AbortController().signal);
  await clock.advance(5_000);
  await deadline.during(() => undefined);
  await clock.advance(600);
  const second = deadline.during(() => new Promise(() => undefined)).catch(() => "late");
  await clock.advance(400);
  expect(await second).toBe("late");
});

test("a cut ends the attempt before its time, also one that has not begun", async () => {
  const clock = manualClock();
  const cut = new AbortController();
  const deadline = attemptDeadline(clock, 1_000, cut.signal);
  const running = deadline.during(() => new Promise(() => undefined));
  cut.abort();
  await expect(running).rejects.toMatchObject({ code: "WAYBILL_DEADLINE" });
  expect([deadline.isPassed(), deadline.isCut()]).toEqual([false, true]);
  await expect(attemptDeadline(clock, 1_000, cut.signal).during(() => undefined)).rejects.toMatchObject({ code: "WAYBILL_DEADLINE" });
});

test("what a handler throws comes through, also before its first await", async () => {
  const deadline = attemptDeadline(manualClock(), 1_000, new AbortController().signal);
  const thrower = (): void => {
    throw new Error("no stock");
  };
  await expect(deadline.during(thrower)).rejects.toThrow("no stock");
  deadline.end();
  expect(deadline.signal.aborted).toBe(false);
});
