import { manualClock } from "@waybill/testing";
import { describe, expect, test } from "vitest";
import { createWindow } from "./window.ts";

describe("a window", () => {
  test("gives out as many places as it has, then the next when one is given back, in turn", async () => {
    const window = createWindow(manualClock(), { countMax: () => 2, bytesMax: 1_000 });
    expect([await window.take(1, 0), await window.take(1, 0), await window.take(1, 0)]).toEqual([true, true, false]);
    const order: string[] = [];
    const first = window.take(1, 100).then((has) => order.push(`first ${has}`));
    const second = window.take(1, 100).then((has) => order.push(`second ${has}`));
    window.giveBack(1);
    await first;
    window.giveBack(1);
    await second;
    expect(order).toEqual(["first true", "second true"]);
  });

  test("is bounded by bytes, too, and lets one that is larger than all of it go alone", async () => {
    const window = createWindow(manualClock(), { countMax: () => 10, bytesMax: 100 });
    expect(await window.take(60, 0)).toBe(true);
    expect(await window.take(60, 0)).toBe(false);
    window.giveBack(60);
    expect(await window.take(500, 0)).toBe(true);
    expect(await window.take(1, 0)).toBe(false);
  });

  test("lets nothing small pass something large that waits", async () => {
    const window = createWindow(manualClock(), { countMax: () => 10, bytesMax: 100 });
    await window.take(60, 0);
    const large = window.take(90, 1_000);
    expect(await window.take(1, 0)).toBe(false);
    window.giveBack(60);
    expect(await large).toBe(true);
  });

  test("a wait ends at its deadline, and then what is behind it may go", async () => {
    const clock = manualClock();
    const window = createWindow(clock, { countMax: () => 10, bytesMax: 100 });
    await window.take(60, 0);
    const large = window.take(90, 50);
    const small = window.take(1, 1_000);
    await clock.advance(50);
    expect(await large).toBe(false);
    expect(await small).toBe(true);
    expect(window.count).toBe(2);
  });

  test("waits that are called off have no place", async () => {
    const window = createWindow(manualClock(), { countMax: () => 1, bytesMax: 100 });
    await window.take(1, 0);
    const waiting = [window.take(1, 1_000), window.take(1, 1_000)];
    window.callOff();
    expect(await Promise.all(waiting)).toEqual([false, false]);
    expect(window.count).toBe(1);
  });

  test("a smaller number of places holds for those who ask after it, and a larger one lets waiting ones in", async () => {
    let countMax = 2;
    const window = createWindow(manualClock(), { countMax: () => countMax, bytesMax: 100 });
    await window.take(1, 0);
    countMax = 1;
    const waiting = window.take(1, 1_000);
    expect(window.count).toBe(1);
    countMax = 2;
    window.refresh();
    expect(await waiting).toBe(true);
  });
});
