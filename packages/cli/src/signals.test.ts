import { manualClock } from "@waybill/testing";
import { describe, expect, test } from "vitest";
import { type Stop, stopOnSignals } from "./signals.ts";

function setUp(): {
  readonly told: string[];
  readonly stop: Stop;
  readonly clock: ReturnType<typeof manualClock>;
  send(signal: NodeJS.Signals): void;
  listeners(): number;
} {
  const told: string[] = [];
  const clock = manualClock();
  const listeners = new Map<NodeJS.Signals, Set<(signal: NodeJS.Signals) => void>>();
  const stop = stopOnSignals({
    process: {
      on: (signal, listener) => listeners.set(signal, (listeners.get(signal) ?? new Set()).add(listener)),
      off: (signal, listener) => listeners.get(signal)?.delete(listener),
      exit: (code) => told.push(`exit ${code}`),
    },
    clock,
    deadlineMs: 10_000,
    onStopping: (signal) => told.push(`stopping ${signal}`),
    onDeadline: () => told.push("deadline"),
  });
  return {
    told,
    stop,
    clock,
    send: (signal) => listeners.get(signal)?.forEach((listener) => listener(signal)),
    listeners: () => [...listeners.values()].reduce((sum, set) => sum + set.size, 0),
  };
}

describe("signals", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("the first %s asks to stop, and ends nothing", (signal) => {
    const { told, stop, send } = setUp();
    expect([stop.signal.aborted, stop.deadlineAtMs()]).toEqual([false, null]);
    send(signal);
    expect([stop.signal.aborted, stop.deadlineAtMs(), told]).toEqual([true, 10_000, [`stopping ${signal}`]]);
  });

  test("the second one ends the process at once, with 1", () => {
    const { told, send } = setUp();
    send("SIGINT");
    send("SIGTERM");
    expect(told).toEqual(["stopping SIGINT", "exit 1"]);
  });

  test("what has not ended by the deadline is ended, with 1", async () => {
    const { told, send, clock } = setUp();
    send("SIGTERM");
    await clock.advance(9_999);
    expect(told).toEqual(["stopping SIGTERM"]);
    await clock.advance(1);
    expect(told).toEqual(["stopping SIGTERM", "deadline", "exit 1"]);
  });

  test("once everything has ended, neither deadline nor listener is left", async () => {
    const { told, send, clock, stop, listeners } = setUp();
    send("SIGTERM");
    stop.end();
    await clock.advance(20_000);
    expect(told).toEqual(["stopping SIGTERM"]);
    expect([clock.timers, listeners()]).toEqual([0, 0]);
  });
});
