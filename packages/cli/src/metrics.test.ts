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
  delayedDueMs: 0,
  loadedBytes: 100,
  waitingTopics: [],
  openBreakers: [],
  stoppedTopics: [],
  spilledTopics: [],
  lastError: null,
  stateReason: null,
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

  test("what retention saw last is shown, by the name of whoever keeps history, while this relay is the one that looks", () => {
    const metrics = createMetrics(of);
    metrics.record({
      ...of,
      name: "relay.ledgerMeasured",
      highestId: 50n,
      removedTo: 20n,
      bytes: 4_096n,
      lowWaterMark: 31n,
      heldBackBy: "slow",
      neededAgeMs: 2_500,
      partitions: 3,
      partitionsAhead: 2,
      defaultRows: 0,
    });
    metrics.record({ ...of, name: "relay.historyRemoved", rows: 7, emptied: 2, dropped: 1, ids: 0 });
    const shown = render(metrics);
    expect(shown.get('waybill_ledger_ids{stream="default"}')).toBe("30");
    expect(shown.get('waybill_ledger_needed_from_id{stream="default",held_back_by="slow"}')).toBe("31");
    expect(shown.get('waybill_ledger_needed_seconds{stream="default",held_back_by="slow"}')).toBe("2.5");
    expect(shown.get(name("waybill_relay_partitions_emptied_total"))).toBe("2");
    const standingBy = render(metrics, { ...health, state: "standby" });
    expect(standingBy.has('waybill_ledger_bytes{stream="default"}')).toBe(false);
  });

  test("what brokers do is counted, and an alarm of RabbitMQ's is a gauge", () => {
    const metrics = createMetrics(of);
    const at = { role: "transport", broker: "host:5672/%2F" } as const;
    const value = (metric: string): string | undefined => render(metrics).get(name(metric));
    metrics.record({ ...at, name: "rabbitmq.connectFailed", reason: "unreachable", brokerCode: null, afterMs: 1 });
    metrics.record({ ...at, name: "rabbitmq.blocked", reason: "low on memory" });
    expect(value("waybill_rabbitmq_blocked")).toBe("1");
    metrics.record({ ...at, name: "rabbitmq.unblocked", durationMs: 1 });
    expect(value("waybill_rabbitmq_blocked")).toBe("0");
    metrics.record({ ...at, name: "rabbitmq.blocked", reason: "low on memory" });
    metrics.record({ ...at, name: "rabbitmq.lost", reason: "reset", brokerCode: null, afterMs: 1 });
    expect(value("waybill_rabbitmq_blocked")).toBe("0");
    metrics.record({ ...at, name: "rabbitmq.returned", exchange: "orders", messageId: "m", brokerCode: "312" });
    metrics.record({
      ...at,
      name: "rabbitmq.channelClosed",
      exchange: "orders",
      reason: "channelException",
      brokerCode: "406",
      unsettled: 2,
    });
    metrics.record({ ...at, name: "rabbitmq.culpritFound", exchange: "orders", messageId: "m", brokerCode: "406" });
    metrics.record({ name: "kafka.producerReplaced", topic: "orders", reason: "deadline", code: null });
    metrics.record({ name: "kafka.partitionsChanged", topic: "orders", from: 1, to: 2 });
    const counted = [
      "rabbitmq_connects_failed",
      "rabbitmq_connections_lost",
      "rabbitmq_blocked",
      "rabbitmq_returned",
      "rabbitmq_channels_closed",
      "rabbitmq_culprits",
      "kafka_producers_replaced",
      "kafka_partitions_changed",
    ].map((metric) => value(`waybill_${metric}_total`));
    expect(counted).toEqual(["1", "1", "2", "1", "1", "1", "1", "1"]);
  });

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
