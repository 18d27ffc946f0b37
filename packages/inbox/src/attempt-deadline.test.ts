import { isWaybillError } from "@waybill/core";
import { manualClock } from "@waybill/testing";
import { expect, test } from "vitest";
import { attemptDeadline } from "./attempt-deadline.ts";
import { startDrain } from "./lifecycle.ts";

/** Never cut. */
const never = startDrain(new AbortController().signal, manualClock(), 0).life.cut;

test("a handler that is not done in time is waited for no longer, and its signal aborts", async () => {
  const clock = manualClock();
  const deadline = attemptDeadline(clock, 1_000, never);
  const running = deadline.during(() => new Promise(() => undefined)).catch((caught: unknown) => caught);
  await clock.advance(999);
  expect(deadline.signal.aborted).toBe(false);
  await clock.advance(1);
  expect(isWaybillError(await running, "WAYBILL_DEADLINE")).toBe(true);
  expect([deadline.isPassed(), deadline.isCut(), deadline.signal.aborted]).toEqual([true, false, true]);
});

test("the time runs from the first start of the handler, over its repetitions", async () => {
  const clock = manualClock();
  const deadline = attemptDeadline(clock, 1_000, never);
  await clock.advance(5_000);
  await deadline.during(() => undefined);
  await clock.advance(600);
  const second = deadline.during(() => new Promise(() => undefined)).catch(() => "late");
  await clock.advance(400);
  expect(await second).toBe("late");
});

test("a cut ends the attempt before its time, also one that has not begun", async () => {
  const clock = manualClock();
  const stop = new AbortController();
  const { cut } = startDrain(stop.signal, clock, 100).life;
  const deadline = attemptDeadline(clock, 1_000, cut);
  const running = deadline.during(() => new Promise(() => undefined)).catch((caught: unknown) => caught);
  stop.abort();
  await clock.advance(99);
  expect(deadline.signal.aborted).toBe(false);
  await clock.advance(1);
  expect(isWaybillError(await running, "WAYBILL_DEADLINE")).toBe(true);
  expect(deadline.signal.aborted).toBe(true);
  expect([deadline.isPassed(), deadline.isCut()]).toEqual([false, true]);
  await expect(attemptDeadline(clock, 1_000, cut).during(() => undefined)).rejects.toMatchObject({ code: "WAYBILL_DEADLINE" });
});

test("what a handler throws comes through, also before its first await", async () => {
  const deadline = attemptDeadline(manualClock(), 1_000, never);
  const thrower = (): void => {
    throw new Error("no stock");
  };
  await expect(deadline.during(thrower)).rejects.toThrow("no stock");
  deadline.end();
  expect(deadline.signal.aborted).toBe(false);
});
