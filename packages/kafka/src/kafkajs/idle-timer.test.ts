import { createRequire } from "node:module";
import { afterEach, expect, test, vi } from "vitest";
import { applyIdleTimerPatch, idleTimerState } from "./idle-timer.ts";

interface Queue {
  pending: unknown[];
  throttledUntil: number;
  scheduleCheckPendingRequests(): void;
  destroy(): void;
}

const RequestQueue = createRequire(import.meta.url)("kafkajs/src/network/requestQueue") as new (options: object) => Queue;
const prototype = RequestQueue.prototype as Queue;
const original = prototype.scheduleCheckPendingRequests;

afterEach(() => {
  prototype.scheduleCheckPendingRequests = original;
  vi.useRealTimers();
});

function timersInOneSecond(queue: Queue): number {
  vi.useFakeTimers();
  const set = vi.spyOn(globalThis, "setTimeout");
  queue.scheduleCheckPendingRequests();
  vi.advanceTimersByTime(1_000);
  queue.destroy();
  return set.mock.calls.length;
}

function idleQueue(): Queue {
  return new RequestQueue({
    requestTimeout: 30_000,
    enforceRequestTimeout: false,
    clientId: "",
    broker: "",
    logger: { debug: () => undefined },
  });
}

test("K19: the library as it is sets hundreds of timers a second for an idle connection", () => {
  expect(idleTimerState()).toBe("original");
  expect(timersInOneSecond(idleQueue())).toBeGreaterThan(500);
});

test("K19: patched, it sets none, and still one while requests wait", () => {
  applyIdleTimerPatch();
  expect(idleTimerState()).toBe("patched");
  expect(timersInOneSecond(idleQueue())).toBe(0);
  const waiting = idleQueue();
  waiting.throttledUntil = Date.now() + 60_000;
  waiting.pending.push({});
  expect(timersInOneSecond(waiting)).toBe(1);
});

test("K19: a second patch changes nothing, and a function that was never read is left alone", () => {
  applyIdleTimerPatch();
  const once = prototype.scheduleCheckPendingRequests;
  applyIdleTimerPatch();
  expect(prototype.scheduleCheckPendingRequests).toBe(once);

  const foreign = function (): void {};
  prototype.scheduleCheckPendingRequests = foreign;
  applyIdleTimerPatch();
  expect(prototype.scheduleCheckPendingRequests).toBe(foreign);
  expect(idleTimerState()).toBe("unknown");
});
