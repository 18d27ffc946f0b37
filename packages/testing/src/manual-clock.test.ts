import { wait, withDeadline } from "@waybill/core";
import { describe, expect, it } from "vitest";
import { manualClock } from "./manual-clock.ts";

describe("a manual clock", () => {
  it("stands still until it is moved", async () => {
    const clock = manualClock({ monotonicMs: 5, wallMs: 1_000 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect([clock.monotonicMs(), clock.wallMs()]).toEqual([5, 1_000]);
    await clock.advance(10);
    expect([clock.monotonicMs(), clock.wallMs()]).toEqual([15, 1_010]);
  });

  it("fires timers in the order they fall due, each at its own time", async () => {
    const clock = manualClock();
    const fired: [string, number][] = [];
    for (const [name, afterMs] of [
      ["late", 30],
      ["first", 10],
      ["second", 10],
      ["too late", 31],
    ] as const) {
      clock.setTimer(afterMs, () => fired.push([name, clock.monotonicMs()]));
    }
    expect(clock.nextTimerMs).toBe(10);
    await clock.advance(30);
    expect(fired).toEqual([
      ["first", 10],
      ["second", 10],
      ["late", 30],
    ]);
    expect(clock.timers).toBe(1);
  });

  it("lets what a timer wakes set the next one before time goes on", async () => {
    const clock = manualClock();
    const at: number[] = [];
    const loop = (async () => {
      for (let round = 0; round < 3; round += 1) {
        await wait(clock, 10);
        at.push(clock.monotonicMs());
      }
    })();
    await clock.advance(100);
    await loop;
    expect(at).toEqual([10, 20, 30]);
  });

  it("does not fire a cancelled timer", async () => {
    const clock = manualClock();
    expect(await withDeadline(clock, 10, Promise.resolve("in time"))).toEqual({ kind: "settled", value: "in time" });
    expect(clock.timers).toBe(0);
  });

  it("jumps the wall clock alone", async () => {
    const clock = manualClock({ wallMs: 1_000 });
    clock.jumpWall(-500);
    expect([clock.monotonicMs(), clock.wallMs()]).toEqual([0, 500]);
  });
});
