import type { RelayHealth } from "@waybill/relay";
import { describe, expect, test } from "vitest";
import { createMetrics, type Gauges, type Metrics, renderMetrics } from "./metrics.ts";

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

const gauges: Gauges = { health, endedWith: null, isReady: true, highestId: 9_007_199_254_740_999n };

describe("metrics", () => {
  const render = (metrics: ReturnType<typeof createMetrics>, given: RelayHealth = health): Map<string, string> => {
    const lines = renderMetrics([{ metrics, gauges: { ...gauges, health: given } }]).split("\n");
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

  test("what consumers have not confirmed is shown with its age, and what was sent again and given up is counted", () => {
    const metrics = createMetrics(of);
    const ledger = { highestId: 1n, removedTo: 0n, bytes: 0n, lowWaterMark: null, heldBackBy: null, neededAgeMs: null } as const;
    metrics.record({ ...of, ...ledger, name: "relay.ledgerMeasured", partitions: null, partitionsAhead: null, defaultRows: null });
    const shown = (metric: string): string | undefined => render(metrics).get(`${metric}{stream="default"}`);
    expect(shown("waybill_confirmations_waiting")).toBeUndefined();
    metrics.record({ ...of, name: "relay.unconfirmedMeasured", waiting: 5, repeated: 2, oldestMs: 90_500 });
    expect(["waiting", "repeated", "oldest_seconds"].map((one) => shown(`waybill_confirmations_${one}`))).toEqual(["5", "2", "90.5"]);
    metrics.record({ ...of, name: "relay.unconfirmedMeasured", waiting: 0, repeated: 0, oldestMs: null });
    expect(shown("waybill_confirmations_oldest_seconds")).toBe("0");
    metrics.record({ ...of, name: "relay.unconfirmedRepeated", messages: 3, lateMs: 1 });
    metrics.record({ ...of, name: "relay.unconfirmedGivenUp", messageId: "m", type: "t", topic: "orders", consumers: ["inventory"] });
    expect(render(metrics).get(name("waybill_relay_unconfirmed_repeated_total"))).toBe("3");
    expect(render(metrics).get(name("waybill_relay_unconfirmed_dead_total"))).toBe("1");
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

  test("a breaker of a topic is counted when it opens, and is a gauge while it is open", () => {
    const metrics = createMetrics(of);
    const open = { ...health, openBreakers: ["orders", "stock"] };
    metrics.record({ ...of, name: "relay.breakerOpened", topic: "orders", failures: 5 });
    metrics.record({ ...of, name: "relay.breakerOpened", topic: "stock", failures: 5 });
    expect(render(metrics, open).get(name("waybill_relay_breakers_open"))).toBe("2");
    metrics.record({ ...of, name: "relay.breakerClosed", topic: "orders" });
    const closed = render(metrics);
    expect(closed.get(name("waybill_relay_breakers_open"))).toBe("0");
    expect(closed.get(name("waybill_relay_breakers_opened_total"))).toBe("2");
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

  test("of several relays each family stands once, and what is about a ledger is told by one of its readers", () => {
    const measured = {
      name: "relay.ledgerMeasured",
      stream: "default",
      highestId: 9n,
      removedTo: 0n,
      bytes: 100n,
      lowWaterMark: 5n,
    } as const;
    const rest = { heldBackBy: "a", neededAgeMs: 1, partitions: null, partitionsAhead: null, defaultRows: null } as const;
    const relays = [
      { database: "shop", subscription: "a" },
      { database: "shop", subscription: "b" },
      { database: "billing", subscription: "a" },
    ].map((one) => {
      const metrics = createMetrics({ ...one, stream: "default" });
      metrics.record({ ...measured, ...rest, subscription: one.subscription });
      return { metrics, gauges };
    });
    // The first of them stands by: what it saw is old.
    const standby = { metrics: relays[0]?.metrics as Metrics, gauges: { ...gauges, health: { ...health, state: "standby" } as const } };
    const lines = renderMetrics([standby, ...relays.slice(1)]).split("\n");
    const of = (beginning: string): number => lines.filter((line) => line.startsWith(beginning)).length;
    expect(of("# TYPE waybill_relay_unconfirmed ")).toBe(1);
    expect(of("waybill_relay_unconfirmed{")).toBe(3);
    expect(of('waybill_relay_unconfirmed{database="billing",stream="default",subscription="a"}')).toBe(1);
    expect(of('waybill_ledger_bytes{database="shop",stream="default"} 100')).toBe(1);
    expect(of("waybill_ledger_bytes{")).toBe(2);
    expect(new Set(lines).size).toBe(lines.length);
  });

  test("a relay that ended with an error is in the state that says so", () => {
    const metrics = createMetrics(of);
    metrics.record({ name: "relays.relayEnded", relay: "x", ...of, code: "WAYBILL_SCHEMA_MISMATCH", message: "", afterMs: 1 });
    const text = renderMetrics([{ metrics, gauges: { ...gauges, endedWith: new Error("canary") } }]);
    expect(text).toContain('waybill_relay_state{stream="default",subscription="kafka",state="ended"} 1');
    expect(text).toContain('waybill_relay_state{stream="default",subscription="kafka",state="active"} 0');
    expect(text).toContain('waybill_relay_ended_total{stream="default",subscription="kafka"} 1');
  });
});
