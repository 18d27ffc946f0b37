import type { RelayHealth } from "@waybill/relay";
import { describe, expect, test } from "vitest";
import { exposition, histogram } from "./exposition.ts";
import { createMetrics } from "./metrics.ts";

const health: RelayHealth = {
  state: "active",
  oldestUnpublishedMs: 1_500,
  isCaughtUp: true,
  isFull: false,
  epoch: 3n,
  lastId: 9_007_199_254_740_993n,
  lowWaterMark: 9_007_199_254_740_990n,
  holeRanges: 2,
  unconfirmed: 4,
  parked: 1,
  loadedBytes: 100,
  waitingTopics: [],
  lastError: null,
};

const of = { stream: "default", subscription: "kafka" } as const;

describe("exposition", () => {
  test("families are written as the text format says, with escaped labels", () => {
    const families = [
      { name: "a_total", kind: "counter", help: "one\nline \\", samples: [{ labels: { x: 'q"\\\n' }, value: 3n }] },
      { name: "empty", kind: "gauge", help: "", samples: [] },
      { name: "plain", kind: "gauge", help: "no labels", samples: [{ labels: {}, value: 0.5 }] },
    ] as const;
    expect(exposition(families)).toBe(
      '# HELP a_total one\\nline \\\\\n# TYPE a_total counter\na_total{x="q\\"\\\\\\n"} 3\n# HELP plain no labels\n# TYPE plain gauge\nplain 0.5\n',
    );
  });

  test("a histogram counts what lies at or below each edge, and everything", () => {
    const seconds = histogram([1, 5]);
    for (const value of [0.5, 1, 1.1, 5, 99]) seconds.observe(value);
    expect(seconds.samples({}).map(({ suffix, labels, value }) => [suffix, labels["le"], value])).toEqual([
      ["_bucket", "1", 2],
      ["_bucket", "5", 4],
      ["_bucket", "+Inf", 5],
      ["_sum", undefined, 106.6],
      ["_count", undefined, 5],
    ]);
  });
});

describe("metrics", () => {
  const render = (metrics: ReturnType<typeof createMetrics>, given: RelayHealth = health): Map<string, string> => {
    const lines = metrics.render({ health: given, isReady: true, highestId: 9_007_199_254_740_999n }).split("\n");
    return new Map(
      lines
        .filter((line) => line !== "" && !line.startsWith("#"))
        .map((line) => [line.slice(0, line.lastIndexOf(" ")), line.slice(line.lastIndexOf(" ") + 1)]),
    );
  };
  const name = (metric: string, more = ""): string => `${metric}{stream="default",subscription="kafka"${more}}`;

  test("events are counted and their durations fall into buckets, with edges at 1 s and 5 s", () => {
    const metrics = createMetrics(of);
    metrics.record({
      ...of,
      name: "relay.published",
      confirmed: 3,
      rejected: 1,
      retry: 2,
      unknown: 4,
      durationMs: 20,
      delaysMs: [900, 4_000, 6_000],
    });
    metrics.record({ ...of, name: "relay.deadLettered", messageId: "m", sequence: 1n, reason: "status422" });
    metrics.record({ ...of, name: "relay.leaseLost", epoch: 1n, reason: "fenced" });
    metrics.record({ name: "sql.connectionLost", code: "ECONNRESET" });
    const rendered = render(metrics);
    const value = (metric: string, more?: string): string | undefined => rendered.get(name(metric, more));
    expect(value("waybill_relay_published_total")).toBe("3");
    expect(value("waybill_relay_rejected_total")).toBe("1");
    expect(value("waybill_relay_retried_total")).toBe("2");
    expect(value("waybill_relay_unknown_total")).toBe("4");
    expect(value("waybill_relay_dead_letters_total")).toBe("1");
    expect(value("waybill_relay_leases_lost_total")).toBe("1");
    expect(value("waybill_sql_connections_lost_total")).toBe("1");
    expect(value("waybill_relay_commit_to_publish_seconds_bucket", ',le="1"')).toBe("1");
    expect(value("waybill_relay_commit_to_publish_seconds_bucket", ',le="5"')).toBe("2");
    expect(value("waybill_relay_commit_to_publish_seconds_bucket", ',le="+Inf"')).toBe("3");
  });

  test("health is shown as gauges, 64-bit numbers exactly", () => {
    const rendered = render(createMetrics(of));
    expect(rendered.get(name("waybill_relay_last_id"))).toBe("9007199254740993");
    expect(rendered.get(name("waybill_relay_backlog_ids"))).toBe("10");
    expect(rendered.get(name("waybill_relay_oldest_unpublished_seconds"))).toBe("1.5");
    expect(rendered.get(name("waybill_relay_state", ',state="active"'))).toBe("1");
    expect(rendered.get(name("waybill_relay_state", ',state="standby"'))).toBe("0");
    expect(rendered.get(name("waybill_relay_ready"))).toBe("1");
  });

  test("what is not known is not shown", () => {
    const rendered = render(createMetrics(of), { ...health, state: "standby", lastId: null, lowWaterMark: null });
    expect([...rendered.keys()].filter((key) => /last_id|backlog|low_water/.test(key))).toEqual([]);
  });

  test("no label but the subscription's name and fixed words", () => {
    const metrics = createMetrics(of);
    metrics.record({
      ...of,
      name: "relay.retrying",
      messageId: "m",
      topic: "t",
      attempt: 1,
      afterMs: 1,
      scope: "topic",
      reason: "r",
      mayBeStored: false,
    });
    const labels = [...render(metrics).keys()].flatMap((key) => [...key.matchAll(/(\w+)="/g)].map((match) => match[1]));
    expect(new Set(labels)).toEqual(new Set(["stream", "subscription", "le", "state"]));
  });
});
