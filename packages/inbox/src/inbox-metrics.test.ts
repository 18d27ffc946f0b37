import type { InboxEvent, WaybillEvent } from "@waybill/core";
import { manualClock } from "@waybill/testing";
import { describe, expect, test } from "vitest";
import type { InboxHealth } from "./inbox-health.ts";
import { createInboxMetrics, type InboxMetrics } from "./inbox-metrics.ts";

const health: InboxHealth = {
  state: "running",
  unhandled: 3,
  oldestUnhandledMs: 1_500,
  stuckMs: 250,
  sourceFailure: null,
  lastFailure: null,
  attempts: { failed: 5, attempts: 1_000 },
};

type Step = InboxEvent extends infer Event ? (Event extends InboxEvent ? Omit<Event, "consumer"> : never) : never;

function told(metrics: InboxMetrics, ...steps: readonly Step[]): void {
  for (const step of steps) metrics.record({ consumer: "inventory", ...step } as WaybillEvent);
}

/** Sample → value. */
function shown(metrics: InboxMetrics, given: InboxHealth = health): ReadonlyMap<string, string> {
  const lines = metrics.exposition(given).split("\n");
  const samples = lines.filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(samples.map((line) => [line.slice(0, line.lastIndexOf(" ")), line.slice(line.lastIndexOf(" ") + 1)]));
}

const of = (name: string, more = ""): string => `waybill_inbox_${name}{consumer="inventory"${more}}`;

describe("metrics", () => {
  test("what became of messages is counted once each, also where a failed attempt ends in a dead letter", () => {
    const metrics = createInboxMetrics({ consumer: "inventory" });
    told(
      metrics,
      { name: "inbox.received", messages: 7 },
      { name: "inbox.handled", messageId: "1", durationMs: 4 },
      { name: "inbox.committed", messageId: "1" },
      { name: "inbox.duplicate", messageId: "1" },
      { name: "inbox.handlerFailed", messageId: "2", code: "Error", durationMs: 1_500 },
      { name: "inbox.retrying", messageId: "2", attempt: 1, afterMs: 10, code: "Error" },
      { name: "inbox.handlerFailed", messageId: "2", code: "Error", durationMs: 6_000 },
      { name: "inbox.deadLettered", messageId: "2", reason: "attemptsExhausted:Error" },
      { name: "inbox.deadLettered", messageId: "3", reason: "unknownType" },
      { name: "inbox.retrying", messageId: "4", attempt: 0, afterMs: 10, code: "ECONNREFUSED" },
      { name: "inbox.held", messageId: "5" },
      { name: "inbox.handlerFailed", messageId: "6", code: "Error", durationMs: 6_000 },
      { name: "inbox.confirmationGivenUp", messageId: "6", reason: "attemptsExhausted:Error" },
      { name: "inbox.duplicate", messageId: "6" },
    );
    const samples = shown(metrics);
    const counted = ["received", "handled", "failed", "retries", "disturbed", "duplicates", "dead_letters", "held", "unconfirmed"];
    expect(counted.map((name) => samples.get(of(`${name}_total`)))).toEqual(["7", "1", "4", "1", "1", "2", "2", "1", "1"]);
    const below = (edge: string): string | undefined => samples.get(of("handler_seconds_bucket", `,le="${edge}"`));
    expect([below("0.005"), below("1"), below("2.5"), below("5"), below("10"), below("+Inf")]).toEqual(["1", "1", "2", "2", "4", "4"]);
  });

  test("gauges say how the inbox stands, and a consumer of another name is left alone", () => {
    const metrics = createInboxMetrics({ consumer: "inventory" });
    metrics.record({ consumer: "order", name: "inbox.duplicate", messageId: "1" });
    metrics.record({ system: "kafka", group: "inventory", name: "source.lagMeasured", messages: 12 });
    const samples = shown(metrics);
    const gauges = ["unhandled", "oldest_unhandled_seconds", "stuck_seconds", "success_ratio", "ready", "duplicates_total"];
    expect(gauges.map((name) => samples.get(of(name)))).toEqual(["3", "1.5", "0.25", "0.995", "1", "0"]);
    expect(samples.get('waybill_source_lag_messages{consumer="inventory",system="kafka",group="inventory"}')).toBe("12");
    expect(shown(metrics, { ...health, attempts: { failed: 0, attempts: 0 } }).has(of("success_ratio"))).toBe(false);
  });
});

describe("readiness", () => {
  test("a process that lives and brings nothing to an end is not ready, and says why", () => {
    const metrics = createInboxMetrics({ consumer: "inventory", stuckMsMax: 1_000 });
    expect(metrics.readiness({ ...health, stuckMs: 1_000 })).toEqual({ isReady: true, reasons: [] });
    expect(metrics.readiness({ ...health, stuckMs: 1_001, lastFailure: "ECONNREFUSED" })).toEqual({
      isReady: false,
      reasons: ["nothing came to an end for 1001 ms, at most 1000 is ready, and 3 wait; the last failure was ECONNREFUSED"],
    });
    expect(metrics.readiness({ ...health, state: "new" }).reasons).toEqual(["not started yet"]);
    expect(metrics.readiness({ ...health, state: "stopped" }).reasons).toEqual(["stopped"]);
    expect(metrics.readiness({ ...health, sourceFailure: "WAYBILL_TRANSPORT" }).reasons).toEqual([
      "the source failed with WAYBILL_TRANSPORT, and nothing was done since",
    ]);
    expect(shown(metrics, { ...health, stuckMs: 1_001 }).get(of("ready"))).toBe("0");
  });

  test("a source that begins anew is not ready until it has settled something, or has been in and calm for a while", async () => {
    const clock = manualClock();
    const metrics = createInboxMetrics({ consumer: "inventory", clock });
    const source = { system: "kafka", group: "g" } as const;
    const rebuilding = { ...source, name: "source.rebuilding", reason: "noFetch", attempt: 1, afterMs: 1_000 } as const;
    const reasons = (): readonly string[] => metrics.readiness(health).reasons;
    metrics.record(rebuilding);
    expect(reasons()).toEqual(["the source kafka g begins anew: noFetch"]);
    metrics.record({ ...source, name: "source.recovered" });
    expect(reasons()).toEqual([]);

    metrics.record(rebuilding);
    await clock.advance(200_000);
    expect(reasons()).toHaveLength(1);
    metrics.record({ ...source, name: "source.joined", partitions: 1 });
    await clock.advance(89_999);
    expect(reasons()).toHaveLength(1);
    await clock.advance(1);
    expect(reasons()).toEqual([]);
    metrics.record(rebuilding);
    expect(reasons()).toHaveLength(1);
    expect(shown(metrics).get('waybill_source_failing{consumer="inventory",system="kafka",group="g"}')).toBe("1");
  });
});
