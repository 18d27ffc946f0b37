import { type PublishOutcome, type Random, waybillError } from "@waybill/core";
import { describe, expect, test } from "vitest";
import { breakerPolicy, type DestinationGate, destinationGate, type Passage } from "./destination-gate.ts";

const noJitter: Random = { fraction: () => 0.999_999 };
const error = waybillError("WAYBILL_TRANSPORT", "test", { system: "http", reason: "test", brokerCode: null });
const unknown: PublishOutcome = { kind: "unknown", scope: "message", error };
const topicRetry: PublishOutcome = { kind: "retry", scope: "topic", error };
const messageRetry: PublishOutcome = { kind: "retry", scope: "message", error };
const confirmed: PublishOutcome = { kind: "confirmed" };

function enter(gate: DestinationGate, nowMs: number): Extract<Passage, { kind: "pass" }> {
  const passage = gate.enter(nowMs);
  if (passage.kind !== "pass") throw new Error(`not let through: ${passage.reason}`);
  return passage;
}

function failed(
  gate: DestinationGate,
  times: number,
  nowMs: number,
  outcome: PublishOutcome = unknown,
): ReturnType<DestinationGate["note"]> {
  let last = gate.note(enter(gate, nowMs), outcome, nowMs);
  for (let time = 1; time < times; time += 1) last = gate.note(enter(gate, nowMs), outcome, nowMs);
  return last;
}

describe("destination gate", () => {
  test.each([unknown, topicRetry])("five failures in a row close it, four do not", (outcome) => {
    const gate = destinationGate(noJitter);
    expect(failed(gate, 4, 0, outcome)).toMatchObject({ change: null });
    expect(failed(gate, 1, 0, outcome)).toMatchObject({ change: "opened" });
    expect(gate.look(0)).toEqual({ kind: "wait", reason: "breakerOpen", afterMs: 100 });
  });

  test.each([confirmed, messageRetry, { kind: "rejected", error } as const])(
    "an answer about the message itself ends the row",
    (outcome) => {
      const gate = destinationGate(noJitter);
      failed(gate, 4, 0);
      gate.note(enter(gate, 0), outcome, 0);
      failed(gate, 4, 0);
      expect(gate.look(0)).toEqual({ kind: "pass", isProbe: false });
    },
  );

  test("once it closes, what is unknown is so for the topic, with the time until the probe", () => {
    const gate = destinationGate(noJitter);
    expect(failed(gate, 4, 0).outcome).toEqual(unknown);
    expect(failed(gate, 1, 0).outcome).toEqual({ ...unknown, scope: "topic", afterMs: 100 });
  });

  test("one probe goes per backoff step, and its success opens it", () => {
    const gate = destinationGate(noJitter);
    failed(gate, 5, 0);
    expect(gate.enter(99)).toMatchObject({ kind: "wait" });
    const probe = enter(gate, 100);
    expect(probe.isProbe).toBe(true);
    expect(gate.enter(100)).toMatchObject({ kind: "wait", reason: "breakerOpen" });
    expect(gate.note(probe, unknown, 200)).toMatchObject({ change: null });
    expect(gate.look(399)).toEqual({ kind: "wait", reason: "breakerOpen", afterMs: 1 });
    expect(gate.note(enter(gate, 400), confirmed, 500)).toEqual({ outcome: confirmed, change: "closed" });
    expect(gate.look(500)).toEqual({ kind: "pass", isProbe: false });
    expect(gate.isBlank(500)).toBe(true);
  });

  test("what was under way when it closed counts as no failed probe", () => {
    const gate = destinationGate(noJitter);
    const underWay = [enter(gate, 0), enter(gate, 0), enter(gate, 0)];
    failed(gate, 5, 0);
    const probe = enter(gate, 100);
    for (const pass of underWay) gate.note(pass, unknown, 100);
    expect(gate.enter(100)).toMatchObject({ kind: "wait" });
    gate.note(probe, unknown, 100);
    expect(gate.look(100)).toEqual({ kind: "wait", reason: "breakerOpen", afterMs: 200 });
  });

  test("the wait between probes grows to five seconds and no further", () => {
    const gate = destinationGate(noJitter);
    failed(gate, 5, 0);
    let nowMs = 0;
    for (let probe = 0; probe < 20; probe += 1) {
      const passage = gate.look(nowMs);
      if (passage.kind === "wait") nowMs += passage.afterMs;
      failed(gate, 1, nowMs);
    }
    expect(gate.look(nowMs)).toEqual({ kind: "wait", reason: "breakerOpen", afterMs: breakerPolicy.maxMs });
  });

  test("a probe that was not sent leaves the next one its turn", () => {
    const gate = destinationGate(noJitter);
    failed(gate, 5, 0);
    gate.abandon(enter(gate, 100));
    expect(gate.look(100)).toEqual({ kind: "pass", isProbe: true });
  });

  test("Retry-After of a destination pauses it; of a message it does not", () => {
    const gate = destinationGate(noJitter);
    gate.note(enter(gate, 0), { ...unknown, afterMs: 5_000 }, 0);
    gate.note(enter(gate, 0), { ...messageRetry, afterMs: 5_000 }, 0);
    expect(gate.look(0)).toMatchObject({ kind: "pass" });
    gate.note(enter(gate, 0), { ...topicRetry, afterMs: 5_000 }, 0);
    expect(gate.look(4_000)).toEqual({ kind: "wait", reason: "retryAfter", afterMs: 1_000 });
    expect(gate.isBlank(4_000)).toBe(false);
    expect(gate.look(5_000)).toMatchObject({ kind: "pass" });
  });

  test("a breaker that opens on answers with Retry-After waits as long as they ask", () => {
    const gate = destinationGate(noJitter);
    expect(failed(gate, 5, 0, { ...unknown, afterMs: 60_000 }).outcome).toMatchObject({ scope: "topic", afterMs: 60_000 });
    expect(gate.look(59_999)).toMatchObject({ kind: "wait" });
    expect(gate.look(60_000)).toEqual({ kind: "pass", isProbe: true });
  });
});
