/**
 * What a consuming process measures, and whether it is ready: a listener to give to the inbox, its source and its database alike.
 *
 *     const metrics = createInboxMetrics({ consumer: "inventory" });
 *     const inbox = createInbox({ …, onEvent: metrics.record });         source and database: onEvent: metrics.record, too
 *
 *     GET /metrics   metrics.exposition(inbox.health())
 *     GET /readyz    metrics.readiness(inbox.health())
 *
 * Labels are the consumer's name, the source's system and group, and nothing else.
 */
import {
  type Clock,
  exposition,
  histogram,
  type MetricFamily,
  type MetricLabels,
  type SourceEvent,
  systemClock,
  type WaybillEvent,
} from "@waybill/core";
import { type AttemptOutcome, attemptOutcomes } from "./attempt-outcomes.ts";
import type { InboxHealth } from "./inbox-health.ts";

export interface InboxMetricsOptions {
  readonly consumer: string;
  /**
   * Milliseconds after which a process that has deliveries and brings none to an end is not ready. Default 120 000: twice the inbox's
   * `handlerDeadlineMs`, after which sources, too, give up waiting.
   */
  readonly stuckMsMax?: number;
  readonly clock?: Clock;
}

export interface InboxReadiness {
  readonly isReady: boolean;
  /** Why it is not: names, numbers and codes. Empty if it is. */
  readonly reasons: readonly string[];
}

export interface InboxMetrics {
  /** Give it to everything that has an `onEvent`. Events of other consumers and of what it does not count are left alone. */
  readonly record: (event: WaybillEvent) => void;
  /** Ready means that messages move, or that none is there: a process that lives and brings nothing to an end is not. */
  readiness(health: InboxHealth): InboxReadiness;
  /** For whoever joins it with metrics of its own. */
  families(health: InboxHealth): readonly MetricFamily[];
  /** Prometheus' text format; its content type is `expositionType` of `@waybill/core`. */
  exposition(health: InboxHealth): string;
}

/** Seconds. 1 and 5 are among them: the usual promises. */
const handlerEdges = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

const counters = {
  received: ["waybill_inbox_received_total", "Deliveries handed over by the source, repetitions included."],
  handled: ["waybill_inbox_handled_total", "Messages whose effects were committed."],
  failed: ["waybill_inbox_failed_total", "Attempts that failed, and messages that became dead letters without one."],
  retried: ["waybill_inbox_retries_total", "Failed attempts after which the message comes again."],
  disturbed: [
    "waybill_inbox_disturbed_total",
    "Times a message comes again by no fault of its own: the database, or another process at it.",
  ],
  unknown: ["waybill_inbox_unknown_total", "Messages whose COMMIT was not answered, and that are asked about or come again."],
  duplicates: ["waybill_inbox_duplicates_total", "Deliveries of messages that were handled before."],
  unconfirmed: ["waybill_inbox_unconfirmed_total", "Duplicates whose confirmation to the producer was given up."],
  stale: ["waybill_inbox_stale_total", "Messages settled without their handler, for a newer version was known."],
  ignored: ["waybill_inbox_ignored_total", "Messages of types that are not wanted."],
  dead: ["waybill_inbox_dead_letters_total", "Messages that became dead letters."],
  held: ["waybill_inbox_held_total", "Messages put aside behind a dead letter of their key."],
  redriven: ["waybill_inbox_redriven_total", "Dead or held messages that came to an end after all."],
  rolledBack: ["waybill_inbox_batches_rolled_back_total", "Batches that were rolled back and handled message by message."],
  notifyingFailed: ["waybill_inbox_notifying_failed_total", "Dead letters that their producer was not told of."],
  upkeepFailed: ["waybill_inbox_upkeep_failed_total", "Times that redriving or retention could not be done."],
  sourceFailed: ["waybill_inbox_source_failed_total", "Times that the source ended with an error and was consumed again."],
  rebuilt: ["waybill_source_rebuilt_total", "Times that a source made no progress, or its client gave up, and it began anew."],
  gaps: ["waybill_source_gaps_total", "Gaps: messages that were gone before this group had read them."],
  commitFailed: ["waybill_source_commits_failed_total", "Times that the broker did not learn what was settled."],
  timedOut: ["waybill_source_consumer_timed_out_total", "Times that the broker took back what was not settled in its own time."],
  connections: ["waybill_sql_connections_lost_total", "Connections to the database that were lost or given up."],
  units: ["waybill_sql_units_repeated_total", "Units of work run again after a conflict."],
} as const satisfies Readonly<Record<string, readonly [name: string, help: string]>>;

type Counter = keyof typeof counters;

/** Events that are counted one by one. */
const plainCounters = {
  "inbox.outcomeUnknown": "unknown",
  "inbox.duplicate": "duplicates",
  "inbox.confirmationGivenUp": "unconfirmed",
  "inbox.stale": "stale",
  "inbox.ignored": "ignored",
  "inbox.deadLettered": "dead",
  "inbox.held": "held",
  "inbox.redriven": "redriven",
  "inbox.batchRolledBack": "rolledBack",
  "inbox.notifyingFailed": "notifyingFailed",
  "inbox.upkeepFailed": "upkeepFailed",
  "inbox.sourceFailed": "sourceFailed",
  "sql.connectionLost": "connections",
  "sql.unitRepeated": "units",
} as const satisfies Partial<Record<WaybillEvent["name"], Counter>>;

const counterOf = { succeeded: "handled", failed: "failed", retried: "retried" } as const satisfies Record<AttemptOutcome, Counter>;

/** A source that began anew is believed after it has settled something, or has been calm for so long: longer than its watches take. */
const calmMs = 90_000;

interface SourceSeen {
  readonly system: string;
  readonly group: string;
  /** Why it began anew, until it is believed again. */
  failing: string | null;
  /** Since when it has been in again. */
  joinedMs: number | null;
  /** Messages that are there and not settled by the group, as it was told last; null: it was not. */
  lag: number | null;
}

/** Makes a collector. It opens nothing and keeps no timer. */
export function createInboxMetrics({ consumer, stuckMsMax = 120_000, clock = systemClock }: InboxMetricsOptions): InboxMetrics {
  const counts = new Map<Counter, number>(Object.keys(counters).map((counter) => [counter as Counter, 0]));
  const handlers = histogram(handlerEdges);
  const sources = new Map<string, SourceSeen>();
  const outcomeOf = attemptOutcomes();
  const labels = { consumer };
  const add = (counter: Counter, by = 1): void => void counts.set(counter, (counts.get(counter) ?? 0) + by);

  const sourceOf = ({ system, group }: SourceEvent): SourceSeen => {
    const name = JSON.stringify([system, group]);
    const seen = sources.get(name) ?? { system, group, failing: null, joinedMs: null, lag: null };
    sources.set(name, seen);
    return seen;
  };
  const failingWith = ({ failing, joinedMs }: SourceSeen): string | null =>
    joinedMs !== null && clock.monotonicMs() - joinedMs >= calmMs ? null : failing;

  const recordSource = (event: SourceEvent): void => {
    const seen = sourceOf(event);
    switch (event.name) {
      case "source.joined":
        seen.joinedMs = clock.monotonicMs();
        return;
      case "source.rebuilding":
        Object.assign(seen, { failing: event.reason, joinedMs: null });
        return add("rebuilt");
      case "source.recovered":
      case "source.stopped":
        seen.failing = null;
        return;
      case "source.gapFound":
        return add("gaps");
      case "source.commitFailed":
        return add("commitFailed");
      case "source.consumerTimedOut":
        return add("timedOut");
      case "source.lagMeasured":
        seen.lag = event.messages;
        return;
      default:
    }
  };

  const record = (event: WaybillEvent): void => {
    if (event.name.startsWith("source.")) return recordSource(event as SourceEvent);
    if ("consumer" in event && event.consumer !== consumer) return;
    const outcome = outcomeOf(event);
    if (outcome !== null) add(counterOf[outcome]);
    const plain = plainCounters[event.name as keyof typeof plainCounters];
    if (plain !== undefined) return add(plain);
    switch (event.name) {
      case "inbox.received":
        return add("received", event.messages);
      case "inbox.handled":
      case "inbox.handledMany":
        return handlers.observe(event.durationMs / 1_000);
      case "inbox.handlerFailed":
        return handlers.observe(event.durationMs / 1_000);
      case "inbox.retrying":
        return outcome === null ? add("disturbed") : undefined;
      default:
    }
  };

  const readiness: InboxMetrics["readiness"] = (health) => {
    const reasons: string[] = [];
    if (health.state === "new") reasons.push("not started yet");
    if (health.state === "stopped") reasons.push("stopped");
    if (health.sourceFailure !== null) reasons.push(`the source failed with ${health.sourceFailure}, and nothing was done since`);
    for (const seen of sources.values()) {
      const failing = failingWith(seen);
      if (failing !== null) reasons.push(`the source ${seen.system} ${seen.group} begins anew: ${failing}`);
    }
    if (health.stuckMs > stuckMsMax) {
      const because = health.lastFailure === null ? "" : `; the last failure was ${health.lastFailure}`;
      reasons.push(
        `nothing came to an end for ${Math.round(health.stuckMs)} ms, at most ${stuckMsMax} is ready, and ${health.unhandled} wait${because}`,
      );
    }
    return { isReady: reasons.length === 0, reasons };
  };

  const families: InboxMetrics["families"] = (health) => {
    const gauge = (name: string, help: string, value: number | boolean | null): MetricFamily => ({
      name,
      kind: "gauge",
      help,
      samples: value === null ? [] : [{ labels, value: Number(value) }],
    });
    const ofSources = (name: string, help: string, valueOf: (seen: SourceSeen) => number | null): MetricFamily => ({
      name,
      kind: "gauge",
      help,
      samples: [...sources.values()].flatMap((seen) => {
        const value = valueOf(seen);
        const { system, group } = seen;
        return value === null ? [] : [{ labels: { ...labels, system, group } satisfies MetricLabels, value }];
      }),
    });
    const { failed, attempts } = health.attempts;
    return [
      ...Object.entries(counters).map(
        ([counter, [name, help]]): MetricFamily => ({
          name,
          kind: "counter",
          help,
          samples: [{ labels, value: counts.get(counter as Counter) ?? 0 }],
        }),
      ),
      {
        name: "waybill_inbox_handler_seconds",
        kind: "histogram",
        help: "One call of a handler, those that failed included; a handler that takes many is called once for all of them.",
        samples: handlers.samples(labels),
      },
      gauge("waybill_inbox_ready", "1 if /readyz says so.", readiness(health).isReady),
      gauge("waybill_inbox_unhandled", "Deliveries that are here and not settled, or come again.", health.unhandled),
      gauge(
        "waybill_inbox_oldest_unhandled_seconds",
        "How long ago the oldest of them was delivered to this process first.",
        health.oldestUnhandledMs / 1_000,
      ),
      gauge("waybill_inbox_stuck_seconds", "For how long there has been one, and none came to an end.", health.stuckMs / 1_000),
      gauge(
        "waybill_inbox_success_ratio",
        "Of the last thousand attempts, those that succeeded; nothing before the first one.",
        attempts === 0 ? null : (attempts - failed) / attempts,
      ),
      ofSources(
        "waybill_source_lag_messages",
        "Messages that the broker has and the group has not settled, as far as the source was told.",
        ({ lag }) => lag,
      ),
      ofSources("waybill_source_failing", "1 while a source begins anew and has not shown since that it works.", (seen) =>
        Number(failingWith(seen) !== null),
      ),
    ];
  };

  return { record, readiness, families, exposition: (health) => exposition(families(health)) };
}
