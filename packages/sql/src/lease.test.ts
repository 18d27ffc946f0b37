import type { Clock } from "@waybill/core";
import { expect, test } from "vitest";
import { type HeldLease, holdLease } from "./lease.ts";

/** A clock that stands still until it is told to go on. Timers that are due fire late, one by one, as after a freeze. */
function manualClock() {
  let nowMs = 0;
  let wallAheadMs = 0;
  const timers = new Set<{ dueMs: number; callback: () => void }>();
  const clock: Clock = {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs + wallAheadMs,
    setTimer(afterMs, callback) {
      const timer = { dueMs: nowMs + afterMs, callback };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
  };
  const fireDue = async (): Promise<void> => {
    for (const timer of [...timers].filter(({ dueMs }) => dueMs <= nowMs)) if (timers.delete(timer)) timer.callback();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  return {
    clock,
    fireDue,
    /** Time passes and nothing runs: the process is frozen. */
    freeze: (ms: number) => void (nowMs += ms),
    advance: (ms: number) => {
      nowMs += ms;
      return fireDue();
    },
    jumpWall: (ms: number) => void (wallAheadMs += ms),
    pending: () => timers.size,
  };
}

type Renewal = {
  readonly sentAtMs: number;
  readonly answer: (isOurs: boolean) => Promise<void>;
  readonly fail: (error: Error) => Promise<void>;
};

/** A lease of 1 200 ms, acquired at 0: renewed every 400 ms, trusted for 900 ms from before each renewal was sent. */
function held() {
  const time = manualClock();
  const renewals: Renewal[] = [];
  const losses: string[] = [];
  const settle = async (act: () => void): Promise<void> => {
    act();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  const lease: HeldLease = holdLease({
    clock: time.clock,
    leaseMs: 1_200,
    acquiredFromMs: 0,
    renew: () =>
      new Promise((resolve, reject) => {
        const sentAtMs = time.clock.monotonicMs();
        renewals.push({ sentAtMs, answer: (isOurs) => settle(() => resolve(isOurs)), fail: (error) => settle(() => reject(error)) });
      }),
    onLost: (reason) => losses.push(reason),
  });
  return { ...time, lease, renewals, losses };
}

test("a lease is trusted for three quarters of its time, counted from before it was asked for", () => {
  const { lease, freeze, losses } = held();
  freeze(899);
  expect(lease.isTrusted()).toBe(true);
  freeze(1);
  expect(lease.isTrusted()).toBe(false);
  expect(losses).toEqual(["expired"]);
});

test("trust that a late acquisition used up is no trust", () => {
  const { clock, freeze } = manualClock();
  freeze(1_000);
  const losses: string[] = [];
  const lease = holdLease({
    clock,
    leaseMs: 1_200,
    acquiredFromMs: 0,
    renew: () => Promise.resolve(true),
    onLost: (reason) => losses.push(reason),
  });
  expect(lease.isTrusted()).toBe(false);
  expect(losses).toEqual(["expired"]);
});

test("a renewal extends trust from the moment it was sent, however late its answer came", async () => {
  const { lease, advance, freeze, renewals } = held();
  await advance(400);
  freeze(400);
  await renewals[0]?.answer(true);
  freeze(499);
  expect(lease.isTrusted()).toBe(true);
  freeze(1);
  expect(lease.isTrusted()).toBe(false);
});

test("a wall clock that is set back, or forward, changes no trust", () => {
  const { lease, freeze, jumpWall } = held();
  jumpWall(86_400_000);
  expect(lease.isTrusted()).toBe(true);
  jumpWall(-2 * 86_400_000);
  freeze(900);
  expect(lease.isTrusted()).toBe(false);
});

test("after a freeze nothing is trusted before anything else has run", () => {
  const { lease, freeze } = held();
  freeze(5_000);
  expect(lease.isTrusted()).toBe(false);
});

test("after a freeze the timer that fires first does not renew what has expired", async () => {
  const { losses, advance, renewals } = held();
  await advance(5_000);
  expect(renewals).toHaveLength(0);
  expect(losses).toEqual(["expired"]);
});

test("renewals go on every third of the lease", async () => {
  const { advance, renewals, lease } = held();
  for (const atMs of [400, 800, 1_200]) {
    await advance(400);
    expect(renewals.at(-1)?.sentAtMs).toBe(atMs);
    await renewals.at(-1)?.answer(true);
  }
  expect(renewals).toHaveLength(3);
  expect(lease.isTrusted()).toBe(true);
});

test("a renewal that finds no row of ours loses the lease once, and nothing is renewed any more", async () => {
  const { lease, advance, renewals, losses, pending } = held();
  await advance(400);
  await renewals[0]?.answer(false);
  expect(lease.isTrusted()).toBe(false);
  lease.lose();
  expect(losses).toEqual(["fenced"]);
  expect(pending()).toBe(0);
});

test("a renewal that fails loses the lease", async () => {
  const { lease, advance, renewals, losses } = held();
  await advance(400);
  await renewals[0]?.fail(new Error("gone"));
  expect(lease.isTrusted()).toBe(false);
  expect(losses).toEqual(["failed"]);
});

test("another fenced write of ours extends trust, and an older one does not shorten it", () => {
  const { lease, freeze } = held();
  freeze(600);
  lease.extendFrom(600);
  lease.extendFrom(100);
  freeze(899);
  expect(lease.isTrusted()).toBe(true);
  freeze(1);
  expect(lease.isTrusted()).toBe(false);
});

test("a fenced write that changed no row loses the lease, and what comes later cannot bring it back", async () => {
  const { lease, losses, advance, renewals, freeze } = held();
  await advance(400);
  lease.lose();
  await renewals[0]?.answer(true);
  lease.extendFrom(400);
  freeze(1);
  expect(lease.isTrusted()).toBe(false);
  expect(losses).toEqual(["fenced"]);
});

test("ending is no loss, stops renewing, and ends trust", async () => {
  const { lease, losses, advance, renewals, pending } = held();
  await advance(400);
  lease.end();
  await renewals[0]?.answer(false);
  expect(lease.isTrusted()).toBe(false);
  expect(losses).toEqual([]);
  expect(pending()).toBe(0);
});

test("trust that runs out while a renewal hangs is reported without anybody asking", async () => {
  const { losses, advance } = held();
  await advance(400);
  await advance(500);
  expect(losses).toEqual(["expired"]);
});
