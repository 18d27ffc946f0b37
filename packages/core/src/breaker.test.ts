import { expect, test } from "vitest";
import { afterFailure, afterSuccess, type Breaker, type BreakerPolicy, closedBreaker, mayPass } from "./breaker.ts";

const policy: BreakerPolicy = { failuresMax: 5, firstMs: 100, maxMs: 5_000 };
const half = { fraction: () => 0.5 };

function failing(times: number, nowMs: number, from: Breaker = closedBreaker): Breaker {
  let breaker = from;
  for (let time = 0; time < times; time += 1) breaker = afterFailure(breaker, policy, nowMs, half);
  return breaker;
}

test("a breaker lets pass until failuresMax failures came in a row", () => {
  expect(mayPass(failing(4, 1_000), 1_000)).toBe(true);
  const open = failing(5, 1_000);
  expect(mayPass(open, 1_000)).toBe(false);
  expect(mayPass(open, 1_049)).toBe(false);
  expect(mayPass(open, 1_050)).toBe(true);
});

test("a success in between starts the count again", () => {
  expect(mayPass(failing(4, 1_000, afterSuccess()), 1_000)).toBe(true);
});

test("a failed probe opens it for longer, up to the cap", () => {
  let breaker = failing(5, 0);
  const waits: number[] = [];
  for (let probe = 0; probe < 8; probe += 1) {
    const probedAtMs = breaker.probeAtMs ?? Number.NaN;
    breaker = afterFailure(breaker, policy, probedAtMs, half);
    waits.push((breaker.probeAtMs ?? Number.NaN) - probedAtMs);
  }
  expect(waits).toEqual([100, 200, 400, 800, 1_600, 2_500, 2_500, 2_500]);
});

test("failures that were under way when it opened count as no probe", () => {
  const open = failing(5, 1_000);
  expect(failing(100, 1_010, open)).toEqual(open);
});

test("a successful probe closes it", () => {
  expect(failing(5, 0).probeAtMs).not.toBeNull();
  expect(afterSuccess()).toEqual(closedBreaker);
});
