import { behindItsKey, type FailureScope, type PublishOutcome, waybillError } from "@waybill/core";
import { expect, it } from "vitest";
import { laneOutcome } from "./outcomes.ts";

const error = (reason: string, brokerCode: string | null = null) =>
  waybillError("WAYBILL_TRANSPORT", "told to fail", { system: "memory", reason, brokerCode });
const confirmed: PublishOutcome = { kind: "confirmed" };
const rejected = (reason: string, code: string | null = null): PublishOutcome => ({ kind: "rejected", error: error(reason, code) });
const retry = (reason: string, scope: FailureScope = "message", afterMs?: number): PublishOutcome => ({
  kind: "retry",
  error: error(reason),
  scope,
  ...(afterMs === undefined ? {} : { afterMs }),
});
const unknown = (scope: FailureScope = "message"): PublishOutcome => ({ kind: "unknown", error: error("noAnswer"), scope });

it("a lane whose messages are all confirmed goes on", () => {
  expect(laneOutcome([confirmed, confirmed], 0, 2)).toEqual({ confirmed: 2, verdict: { kind: "done" } });
});

it("a confirm behind a failure of its key does not count", () => {
  expect(laneOutcome([confirmed, retry("busy"), confirmed], 0, 3)).toEqual({
    confirmed: 1,
    verdict: { kind: "failed", scope: "message", reason: "busy", afterMs: 0, mayBeStored: false },
  });
});

it("a lane sees only its own part of a call", () => {
  const outcomes = [rejected("a"), confirmed, confirmed, rejected("b")];
  expect(laneOutcome(outcomes, 1, 3)).toEqual({ confirmed: 2, verdict: { kind: "done" } });
});

it("an unknown outcome is told from a retry: the receiver may have the message", () => {
  expect(laneOutcome([unknown("topic")], 0, 1).verdict).toMatchObject({ kind: "failed", scope: "topic", mayBeStored: true });
  expect(laneOutcome([retry("busy", "topic", 700)], 0, 1).verdict).toEqual({
    kind: "failed",
    scope: "topic",
    reason: "busy",
    afterMs: 700,
    mayBeStored: false,
  });
});

it("a failure is named by its reason and the broker's own code", () => {
  const failed = laneOutcome([{ kind: "retry", scope: "topic", error: error("status", "404") }], 0, 1);
  expect(failed.verdict).toMatchObject({ kind: "failed", reason: "status:404" });
});

it("a rejection is named by its reason and the broker's own code", () => {
  expect(laneOutcome([rejected("tooLarge", "10")], 0, 1).verdict).toEqual({ kind: "rejected", reason: "tooLarge:10" });
  expect(laneOutcome([rejected("tooLarge")], 0, 1).verdict).toEqual({ kind: "rejected", reason: "tooLarge" });
});

it("a message that is said to be behind its key although nothing before it failed waits like any that failed", () => {
  const { verdict } = laneOutcome([confirmed, retry(behindItsKey)], 0, 2);
  expect(verdict).toMatchObject({ kind: "failed", scope: "message" });
});
