import type { RelayHealth } from "@waybill/relay";
import { describe, expect, test } from "vitest";
import { readinessOf } from "./readiness.ts";

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
    const readiness = readinessOf({ ...health, ...changed }, false, 30_000);
    expect(readiness.isReady).toBe(isReady);
    expect(readiness.reasons.length === 0).toBe(isReady);
  });

  test("a relay that is told to stop is not ready, whatever it does", () => {
    expect(readinessOf(health, true, 30_000)).toEqual({ isReady: false, state: "active", reasons: ["stopping"] });
  });

  test("the reason names the topics that wait", () => {
    const { reasons } = readinessOf({ ...health, oldestUnpublishedMs: 60_000, waitingTopics: ["orders", "payments"] }, false, 30_000);
    expect(reasons.join()).toContain("orders, payments");
  });
});
