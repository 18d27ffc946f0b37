import { expect, test } from "vitest";
import { type Clock, systemClock, wait, withDeadline } from "./clock.ts";

/** A clock that stands still until it is told to go on. */
function manualClock(): Clock & { advance(ms: number): void; timers(): number } {
  let nowMs = 0;
  const waiting = new Set<{ dueMs: number; callback: () => void }>();
  return {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    setTimer(afterMs, callback) {
      const entry = { dueMs: nowMs + afterMs, callback };
      waiting.add(entry);
      return { cancel: () => void waiting.delete(entry) };
    },
    advance(ms) {
      nowMs += ms;
      for (const entry of [...waiting].filter(({ dueMs }) => dueMs <= nowMs).sort((a, b) => a.dueMs - b.dueMs)) {
        if (waiting.delete(entry)) entry.callback();
      }
    },
    timers: () => waiting.size,
  };
}

test("a wait lasts its whole time and answers true", async () => {
  const clock = manualClock();
  let answer: boolean | null = null;
  const waiting = wait(clock, 100).then((whole) => {
    answer = whole;
  });
  clock.advance(99);
  await Promise.resolve();
  expect(answer).toBeNull();
  clock.advance(1);
  await waiting;
  expect(answer).toBe(true);
});

test("a wait that is aborted ends at once with false and leaves no timer", async () => {
  const clock = manualClock();
  const stop = new AbortController();
  const waiting = wait(clock, 100, stop.signal);
  stop.abort();
  expect(await waiting).toBe(false);
  expect(clock.timers()).toBe(0);
});

test("a wait under an aborted signal does not begin", async () => {
  const clock = manualClock();
  expect(await wait(clock, 100, AbortSignal.abort())).toBe(false);
  expect(clock.timers()).toBe(0);
});

test("a finished wait no longer listens to its signal", async () => {
  const clock = manualClock();
  const stop = new AbortController();
  let listeners = 0;
  const { signal } = stop;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  Object.assign(signal, {
    addEventListener: (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    },
    removeEventListener: (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    },
  });
  const waiting = wait(clock, 100, signal);
  expect(listeners).toBe(1);
  clock.advance(100);
  await waiting;
  expect(listeners).toBe(0);
});

test("a promise that settles before its deadline is passed on, its timer cancelled", async () => {
  const clock = manualClock();
  expect(await withDeadline(clock, 100, Promise.resolve(7))).toEqual({ kind: "settled", value: 7 });
  await expect(withDeadline(clock, 100, Promise.reject(new Error("refused")))).rejects.toThrow("refused");
  expect(clock.timers()).toBe(0);
});

test("a promise past its deadline is late, and its later rejection troubles nobody", async () => {
  const clock = manualClock();
  let refuse: (error: Error) => void = () => undefined;
  const rejections: unknown[] = [];
  const onRejection = (reason: unknown): void => void rejections.push(reason);
  process.on("unhandledRejection", onRejection);
  const deadlined = withDeadline(
    clock,
    100,
    new Promise((_, reject) => {
      refuse = reject;
    }),
  );
  clock.advance(100);
  expect(await deadlined).toEqual({ kind: "late" });
  refuse(new Error("too late"));
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", onRejection);
  expect(rejections).toEqual([]);
});

test("the system's clock goes on, fires once, and a cancelled timer never fires", async () => {
  const before = systemClock.monotonicMs();
  let fired = 0;
  const cancelled = systemClock.setTimer(0, () => {
    fired += 100;
  });
  cancelled.cancel();
  await new Promise<void>((resolve) => {
    const timer = systemClock.setTimer(5, () => {
      fired += 1;
      resolve();
    });
    expect(timer).toBeDefined();
  });
  cancelled.cancel();
  expect(fired).toBe(1);
  expect(systemClock.monotonicMs()).toBeGreaterThan(before);
  expect(Math.abs(systemClock.wallMs() - Date.now())).toBeLessThan(1_000);
});

test("a wait beyond the timer's range does not fire at once", async () => {
  const stop = new AbortController();
  const waiting = wait(systemClock, 2 ** 40, stop.signal);
  const first = await Promise.race([waiting, wait(systemClock, 20).then(() => "still waiting")]);
  expect(first).toBe("still waiting");
  stop.abort();
  expect(await waiting).toBe(false);
});
