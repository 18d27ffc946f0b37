/** What a relay process measures: events counted, durations in histograms, and its health as gauges. MetricLabels are names of databases, streams and subscriptions and nothing else. */
import { exposition, histogram, joinFamilies, type MetricFamily, type MetricLabels, type WaybillEvent } from "@waybill/core";
import type { RelayHealth, RelayStanding } from "@waybill/relay";

export interface MetricsOptions {
  /** Where a process serves several: its configured name. */
  readonly database?: string;
  readonly stream: string;
  readonly subscription: string;
}

/** Asked when somebody scrapes. */
export interface Gauges extends Pick<RelayStanding, "health" | "endedWith"> {
  readonly isReady: boolean;
  /** Highest id of the ledger; null: the database did not say in time. */
  readonly highestId: bigint | null;
}

export interface Metrics {
  record(event: WaybillEvent): void;
  /** Tells one ledger from another. */
  readonly ledgerName: string;
  /** What was seen of the ledger by a relay in this standing; false: nothing. */
  seesLedger(gauges: Gauges): boolean;
  /** `showsLedger` false: another relay of the process tells about it. */
  families(gauges: Gauges, options: { readonly showsLedger: boolean }): readonly MetricFamily[];
}

/** Of all relays of a process. What is about a ledger, and not about a reader of it, is told once. */
export function renderMetrics(relays: readonly { readonly metrics: Metrics; readonly gauges: Gauges }[]): string {
  const told = new Set<string>();
  const families = relays.map(({ metrics, gauges }) => {
    const showsLedger = metrics.seesLedger(gauges) && !told.has(metrics.ledgerName);
    if (showsLedger) told.add(metrics.ledgerName);
    return metrics.families(gauges, { showsLedger });
  });
  return exposition(joinFamilies(families));
}

/** Seconds. 1 and 5 are among them: the usual promises. */
const delayEdges = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600];
const durationEdges = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const counters = {
  read: ["waybill_relay_read_total", "Messages read from the ledger."],
  published: ["waybill_relay_published_total", "Messages confirmed by the transport."],
  repeated: ["waybill_relay_unknown_total", "Publications that ended unknown and are repeated under the same id."],
  retried: ["waybill_relay_retried_total", "Publications that were surely not stored and are tried again."],
  rejected: ["waybill_relay_rejected_total", "Publications that were refused for good."],
  dead: ["waybill_relay_dead_letters_total", "Messages that became dead letters."],
  held: ["waybill_relay_held_total", "Messages put aside behind a dead letter of their key."],
  redriven: ["waybill_relay_released_total", "Dead or held messages that were published after all."],
  spilled: ["waybill_relay_spilled_total", "Messages copied aside because their topic or key has waited for long."],
  unspilled: ["waybill_relay_unspilled_total", "Messages copied aside that were confirmed, and their copies deleted."],
  topicBreakers: ["waybill_relay_breakers_opened_total", "Times a topic failed so often in a row that its breaker opened."],
  takenApart: ["waybill_relay_calls_taken_apart_total", "Calls that were rejected as a whole and published again in halves."],
  topicsStopped: ["waybill_relay_topics_stopped_total", "Times a dead letter stopped its whole topic."],
  leases: ["waybill_relay_leases_acquired_total", "Leases taken."],
  leasesLost: ["waybill_relay_leases_lost_total", "Leases lost while they were used."],
  ended: ["waybill_relay_ended_total", "Times it ended with an error that somebody must look at; beside other relays it is begun anew."],
  restarts: ["waybill_relay_restarts_total", "Times everything was read again from the saved cursor after a failure."],
  broken: ["waybill_relay_transport_broken_total", "Times the transport broke its contract."],
  differing: ["waybill_relay_config_differs_total", "Times another configuration held the lease."],
  holesProved: ["waybill_relay_holes_proved_total", "Ranges of ids proved to belong to no message."],
  fenced: ["waybill_relay_fenced_ids_total", "Ids taken by rows of our own, for nobody came with a message (MySQL, MariaDB)."],
  removed: ["waybill_relay_history_removed_total", "Rows of history removed by ranges of ids."],
  emptied: ["waybill_relay_partitions_emptied_total", "Partitions of history removed whole (PostgreSQL)."],
  unconfirmed: ["waybill_relay_unconfirmed_repeated_total", "Messages that were not confirmed in time and entered the ledger again."],
  unconfirmedDead: ["waybill_relay_unconfirmed_dead_total", "Messages that were never confirmed and became dead letters."],
  delayed: ["waybill_relay_delayed_moved_total", "Delayed messages that were due and entered the ledger."],
  connections: ["waybill_sql_connections_lost_total", "Connections to the database that were lost or given up."],
  units: ["waybill_sql_units_repeated_total", "Units of work run again after a conflict."],
  breakers: ["waybill_http_breakers_opened_total", "Times a topic's destination was found dead."],
  rabbitmqFailed: ["waybill_rabbitmq_connects_failed_total", "Attempts to connect to RabbitMQ that failed."],
  rabbitmqLost: ["waybill_rabbitmq_connections_lost_total", "Connections to RabbitMQ that ended by themselves."],
  rabbitmqBlocked: ["waybill_rabbitmq_blocked_total", "Times RabbitMQ took nothing, for an alarm of memory or disk."],
  rabbitmqReturned: ["waybill_rabbitmq_returned_total", "Messages that found no queue and wait for a binding."],
  rabbitmqChannels: ["waybill_rabbitmq_channels_closed_total", "Channels that RabbitMQ closed for something that was on them."],
  rabbitmqCulprits: ["waybill_rabbitmq_culprits_total", "Messages found to be the one that RabbitMQ closes the channel for."],
  kafkaProducers: ["waybill_kafka_producers_replaced_total", "Kafka producers replaced after a send ended in something unexpected."],
  kafkaPartitions: ["waybill_kafka_partitions_changed_total", "Times a topic's number of partitions changed: keys may have moved."],
} as const satisfies Readonly<Record<string, readonly [name: string, help: string]>>;

type Counter = keyof typeof counters;
type LedgerSeen = Extract<WaybillEvent, { readonly name: "relay.ledgerMeasured" }>;
type ConfirmationsSeen = Extract<WaybillEvent, { readonly name: "relay.unconfirmedMeasured" }>;

export function createMetrics({ database, stream, subscription }: MetricsOptions): Metrics {
  const ofDatabase = database === undefined ? {} : { database };
  const labels = { ...ofDatabase, stream, subscription };
  const counts = new Map<Counter, number>(Object.keys(counters).map((counter) => [counter as Counter, 0]));
  const delays = histogram(delayEdges);
  const publishes = histogram(durationEdges);
  const reads = histogram(durationEdges);
  let isBlocked = false;
  /** As the upkeep saw it last; null: it is another relay's. */
  let ledger: LedgerSeen | null = null;
  let confirmations: ConfirmationsSeen | null = null;
  const add = (counter: Counter, by = 1): void => void counts.set(counter, (counts.get(counter) ?? 0) + by);

  const record = (event: WaybillEvent): void => {
    switch (event.name) {
      case "relay.batchRead":
        add("read", event.rows);
        return reads.observe(event.durationMs / 1_000);
      case "relay.published":
        add("published", event.confirmed);
        add("rejected", event.rejected);
        add("retried", event.retry);
        add("repeated", event.unknown);
        publishes.observe(event.durationMs / 1_000);
        for (const delayMs of event.delaysMs) delays.observe(Math.max(0, delayMs) / 1_000);
        return;
      case "relay.deadLettered":
        return add("dead");
      case "relay.held":
        return add("held");
      case "relay.releasedFinished":
        return add("redriven");
      case "relay.spilled":
        return add("spilled", event.messages);
      case "relay.spillDeleted":
        return add("unspilled", event.messages);
      case "relay.breakerOpened":
        return add("topicBreakers");
      case "relay.takenApart":
        return add("takenApart");
      case "relay.topicStopped":
        return add("topicsStopped");
      case "relay.leaseAcquired":
        return add("leases");
      case "relay.leaseLost":
        return add("leasesLost");
      case "relay.restarting":
        return add("restarts");
      case "relays.relayEnded":
        return add("ended");
      case "relay.transportBroken":
        return add("broken");
      case "relay.configDiffers":
        return add("differing");
      case "relay.holesProved":
        return add("holesProved", event.ranges);
      case "relay.fenced":
        return add("fenced", event.ids);
      case "relay.historyRemoved":
        add("emptied", event.emptied);
        return add("removed", event.rows);
      case "relay.ledgerMeasured":
        ledger = event;
        return;
      case "relay.unconfirmedRepeated":
        return add("unconfirmed", event.messages);
      case "relay.unconfirmedGivenUp":
        return add("unconfirmedDead");
      case "relay.unconfirmedMeasured":
        confirmations = event;
        return;
      case "relay.delayedMoved":
        return add("delayed", event.messages);
      case "sql.connectionLost":
        return add("connections");
      case "sql.unitRepeated":
        return add("units");
      case "http.breakerOpened":
        return add("breakers");
      case "rabbitmq.connectFailed":
        return add("rabbitmqFailed");
      case "rabbitmq.lost":
        isBlocked = false;
        return add("rabbitmqLost");
      case "rabbitmq.blocked":
        isBlocked = true;
        return add("rabbitmqBlocked");
      case "rabbitmq.unblocked":
        isBlocked = false;
        return;
      case "rabbitmq.returned":
        return add("rabbitmqReturned");
      case "rabbitmq.channelClosed":
        return add("rabbitmqChannels");
      case "rabbitmq.culpritFound":
        return add("rabbitmqCulprits");
      case "kafka.producerReplaced":
        return add("kafkaProducers");
      case "kafka.partitionsChanged":
        return add("kafkaPartitions");
      default:
    }
  };

  const families: Metrics["families"] = ({ health, endedWith, isReady, highestId }, { showsLedger }) => {
    const gauge = (name: string, help: string, value: number | bigint | boolean | null): MetricFamily => ({
      name,
      kind: "gauge",
      help,
      samples: value === null ? [] : [{ labels, value: typeof value === "boolean" ? Number(value) : value }],
    });
    const ofLedger = (name: string, help: string, value: number | bigint | null, more: MetricLabels = {}): MetricFamily => ({
      name,
      kind: "gauge",
      help,
      samples: value === null ? [] : [{ labels: { ...ofDatabase, stream, ...more }, value }],
    });
    const seen = showsLedger ? ledger : null;
    const waiting = showsLedger ? confirmations : null;
    const heldBackBy = seen === null || seen.heldBackBy === null ? {} : { held_back_by: seen.heldBackBy };
    // Ids that nobody used are among them; counting rows would cost as much as reading them.
    const behind = highestId === null || health.lowWaterMark === null ? null : highestId - health.lowWaterMark + 1n;
    return [
      ...Object.entries(counters).map(([counter, [name, help]]): MetricFamily => {
        return { name, kind: "counter", help, samples: [{ labels, value: counts.get(counter as Counter) ?? 0 }] };
      }),
      {
        name: "waybill_relay_commit_to_publish_seconds",
        kind: "histogram",
        help: "From append to confirm, by the database's clock.",
        samples: delays.samples(labels),
      },
      { name: "waybill_relay_publish_seconds", kind: "histogram", help: "One call of the transport.", samples: publishes.samples(labels) },
      { name: "waybill_relay_read_seconds", kind: "histogram", help: "One read of the ledger.", samples: reads.samples(labels) },
      {
        name: "waybill_relay_state",
        kind: "gauge",
        help: "1 for the state the relay is in.",
        samples: states.map((state) => ({
          labels: { ...labels, state },
          value: Number((endedWith === null ? health.state : "ended") === state),
        })),
      },
      gauge("waybill_relay_ready", "1 if /readyz says so.", isReady),
      gauge(
        "waybill_relay_oldest_unpublished_seconds",
        "Age of the oldest message that was read and is neither published nor given up.",
        health.oldestUnpublishedMs / 1_000,
      ),
      gauge(
        "waybill_relay_backlog_ids",
        "Ids from the low-water mark to the ledger's highest: an upper bound of what is not published.",
        behind === null || behind < 0n ? null : behind,
      ),
      gauge("waybill_relay_low_water_mark", "Below this id nothing is needed any more.", health.lowWaterMark),
      gauge("waybill_relay_last_id", "Highest id read.", health.lastId),
      gauge("waybill_relay_hole_ranges", "Ranges of ids that were skipped and are watched.", health.holeRanges),
      gauge("waybill_relay_unconfirmed", "Messages read and neither published nor given up.", health.unconfirmed),
      gauge("waybill_relay_parked", "Of them, those whose topic or key backs off.", health.parked),
      gauge("waybill_relay_breakers_open", "Topics whose breaker is open, at most ten are counted.", health.openBreakers.length),
      gauge("waybill_relay_stopped_topics", "Topics that a dead letter has stopped, at most ten are counted.", health.stoppedTopics.length),
      gauge("waybill_relay_spilled_topics", "Topics with messages copied aside, at most ten are counted.", health.spilledTopics.length),
      gauge("waybill_relay_loaded_bytes", "Bytes of payload in memory.", health.loadedBytes),
      gauge(
        "waybill_relay_delayed_due_seconds",
        "For how long the oldest delayed message has been due without entering the ledger.",
        health.delayedDueMs / 1_000,
      ),
      gauge("waybill_relay_caught_up", "1 if the last read found everything there was.", health.isCaughtUp),
      gauge("waybill_rabbitmq_blocked", "1 while RabbitMQ takes nothing, for an alarm of memory or disk.", isBlocked),
      ofLedger(
        "waybill_confirmations_waiting",
        "Confirmations of consumers that are waited for, counted up to 10000.",
        waiting && waiting.waiting,
      ),
      ofLedger("waybill_confirmations_repeated", "Of them, those whose message entered the ledger again.", waiting && waiting.repeated),
      ofLedger(
        "waybill_confirmations_oldest_seconds",
        "For how long the oldest of them is waited for; 0: none is.",
        waiting && (waiting.oldestMs ?? 0) / 1_000,
      ),
      ofLedger(
        "waybill_ledger_ids",
        "Ids of the ledger that history was not removed of: its growth.",
        seen && seen.highestId - seen.removedTo,
      ),
      ofLedger("waybill_ledger_highest_id", "Highest id handed out.", seen && seen.highestId),
      ofLedger("waybill_ledger_removed_to", "Up to this id history was removed.", seen && seen.removedTo),
      ofLedger("waybill_ledger_bytes", "On disk, indexes included.", seen && seen.bytes),
      ofLedger("waybill_ledger_partitions", "Besides the default one (PostgreSQL).", seen && seen.partitions),
      ofLedger("waybill_ledger_partitions_ahead", "Of them, those that no id has come to (PostgreSQL).", seen && seen.partitionsAhead),
      ofLedger(
        "waybill_ledger_default_rows",
        "Rows in the default partition, counted up to 10000: alert on any (PostgreSQL).",
        seen && seen.defaultRows,
      ),
      ofLedger(
        "waybill_ledger_needed_from_id",
        "Lowest id that a subscription needs; the label names the one.",
        seen && seen.lowWaterMark,
        heldBackBy,
      ),
      ofLedger(
        "waybill_ledger_needed_seconds",
        "Age of the oldest message that a subscription needs; the label names the one.",
        seen === null || seen.neededAgeMs === null ? null : seen.neededAgeMs / 1_000,
        heldBackBy,
      ),
      gauge("waybill_relay_full", "1 if nothing new is read because too much waits.", health.isFull),
    ];
  };

  return {
    record,
    ledgerName: JSON.stringify([database, stream]),
    seesLedger: ({ health }) => health.state === "active" && ledger !== null,
    families,
  };
}

const states: readonly (RelayHealth["state"] | "ended")[] = ["starting", "standby", "active", "paused", "stopped", "failing", "ended"];
