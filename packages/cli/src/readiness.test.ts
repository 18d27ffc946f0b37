import { waybillError } from "@waybill/core";
import type { RelayHealth } from "@waybill/relay";
import { describe, expect, test } from "vitest";
import { processReadiness, readinessOf } from "./readiness.ts";

const health: RelayHealth = {
  state: "active",
  oldestUnpublishedMs: 0,
  isCaughtUp: true,
  isFull: false,
  epoch: 1n,
  lastId: 1n,
  lowWaterMark: 2n,
  holeRanges: 0,
  unconfirmed: 0,
  parked: 0,
  delayedDueMs: 0,
  loadedBytes: 0,
  waitingTopics: [],
  openBreakers: [],
  stoppedTopics: [],
  spilledTopics: [],
  lastError: null,
  stateReason: null,
};

const of = (changed: Partial<RelayHealth>) => ({ health: { ...health, ...changed }, endedWith: null });

describe("readiness", () => {
  test.each<[string, Partial<RelayHealth>, boolean]>([
    ["a relay that publishes", {}, true],
    ["a standby", { state: "standby" }, true],
    ["a relay whose oldest message is as old as it may be", { oldestUnpublishedMs: 30_000 }, true],
    ["a relay whose oldest message is older", { oldestUnpublishedMs: 30_001 }, false],
    ["a relay that reads nothing new", { isFull: true }, false],
    ["a relay that has not begun", { state: "starting" }, false],
    ["a relay that cannot go on", { state: "failing", lastError: "WAYBILL_DATABASE:connection" }, false],
    ["a paused subscription", { state: "paused" }, false],
    ["a stopped one", { state: "stopped" }, false],
  ])("%s", (_what, changed, isReady) => {
    const readiness = readinessOf(of(changed), false, 30_000);
    expect(readiness.isReady).toBe(isReady);
    expect(readiness.reasons.length === 0).toBe(isReady);
  });

  test("a relay that is told to stop is not ready, whatever it does", () => {
    expect(readinessOf(of({}), true, 30_000)).toEqual({ isReady: false, state: "active", reasons: ["stopping"] });
  });

  test("the reason names the topics that wait", () => {
    const { reasons } = readinessOf(of({ oldestUnpublishedMs: 60_000, waitingTopics: ["orders", "payments"] }), false, 30_000);
    expect(reasons.join()).toContain("orders, payments");
  });

  test("a relay that ended with an error names its code, and no text of an error that is not ours", () => {
    const ended = waybillError("WAYBILL_SCHEMA_MISMATCH", "Run waybill migrate up.", { set: "relay", found: 1, needed: 2 });
    expect(readinessOf({ ...of({ state: "stopped" }), endedWith: ended }, false, 1)).toEqual({
      isReady: false,
      state: "ended",
      reasons: ["ended with WAYBILL_SCHEMA_MISMATCH, and is begun anew after a while"],
    });
    expect(JSON.stringify(readinessOf({ ...of({}), endedWith: new Error("canary") }, false, 1))).not.toContain("canary");
  });

  test("a process is ready if each of its relays is, and names the one that is not", () => {
    const well = { name: "shop/default/kafka", ...readinessOf(of({ state: "standby" }), false, 1) };
    const ill = { name: "billing/default/kafka", ...readinessOf(of({ state: "failing", lastError: "x" }), false, 1) };
    expect(processReadiness([well])).toEqual({ isReady: true, reasons: [], relays: [well] });
    expect(processReadiness([well, ill])).toMatchObject({
      isReady: false,
      reasons: ["billing/default/kafka: failing: x"],
      relays: [well, ill],
    });
  });
});
