/**
 * Events as JSON lines on stdout: `{"time","level","name",…}`. What an event carries is printed as it is – events hold no payload, key,
 * header or secret.
 *
 * Two bounds: an event that repeats itself is printed once a second, with the number left out; and while nobody reads our stdout,
 * lines are dropped and counted rather than kept.
 */
import type { Clock, WaybillEvent } from "@waybill/core";
import type { Finding } from "./finding.ts";
import { toJson } from "./terminal.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** What the command itself reports, beside the engines. */
export type CliEvent =
  /** Every setting with its value and where it came from; secrets are masked. */
  | { readonly name: "cli.configured"; readonly settings: readonly object[] }
  | { readonly name: "cli.adminListening"; readonly url: string }
  | { readonly name: "cli.stopping"; readonly signal: string; readonly drainDeadlineMs: number }
  /** The broker could not be looked at before the start. The relay starts all the same and waits for it. */
  | {
      readonly name: "cli.transportNotChecked";
      readonly message: string;
      readonly reason: string;
      readonly brokerCode: string | null;
    }
  /** Something about the broker that loses messages, or holds them up. */
  | ({ readonly name: "cli.transportDoubtful" } & Omit<Finding, "level">)
  /** Not everything was closed in time. */
  | { readonly name: "cli.drainDeadlinePassed"; readonly waitingFor: string }
  /** What the half-message service wants a human to look at. */
  | { readonly name: "cli.alert"; readonly kind: string; readonly subject: string; readonly detail: string }
  | { readonly name: "cli.failed"; readonly code: string; readonly message: string }
  | { readonly name: "cli.stopped"; readonly exitCode: number };

export interface Log {
  /** `whose`: printed with the event, where it does not say by itself. */
  write(event: WaybillEvent | CliEvent, whose?: Readonly<Record<string, string>>): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly clock: Clock;
  /** Takes a line; answers how many bytes wait to be written. */
  readonly writeLine: (line: string) => number;
}

const ranks: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Whatever is not named here is one of many a second, or of interest while looking for a fault only. */
const levels: Readonly<Partial<Record<(WaybillEvent | CliEvent)["name"], LogLevel>>> = {
  "relay.started": "info",
  "relay.standby": "info",
  "relay.leaseAcquired": "info",
  "relay.leaseReleased": "info",
  "relay.topicReleased": "info",
  "relay.releasedFinished": "info",
  "relay.soloEnded": "info",
  "relay.draining": "info",
  "relay.stopped": "info",
  "relay.breakerClosed": "info",
  "relay.topicResumed": "info",
  "relay.spillDeleted": "info",
  "relays.relayEnded": "error",
  "relay.breakerOpened": "error",
  "relay.topicStopped": "error",
  "relay.takenApart": "warn",
  "relay.spilled": "warn",
  "relay.leaseLost": "warn",
  "relay.configDiffers": "warn",
  "relay.retrying": "warn",
  "relay.parked": "warn",
  "relay.rowMissing": "warn",
  "relay.partitionsNotKept": "warn",
  "relay.historyNotRemoved": "warn",
  "relay.partitionMade": "info",
  "relay.hintListening": "info",
  "relay.hintLost": "warn",
  "outbox.hintLost": "warn",
  "relay.partitionEmptied": "info",
  "relay.partitionDropped": "info",
  "relay.historyPinned": "warn",
  "relay.defaultPartitionUsed": "error",
  "relay.partitionsMany": "warn",
  "relay.delayedNotMoved": "warn",
  "relay.unconfirmedRepeated": "warn",
  "relay.unconfirmedNotRepeated": "warn",
  "relay.unconfirmedNotMeasured": "warn",
  "relay.unconfirmedGivenUp": "error",
  "relay.settingsDoubtful": "warn",
  "relay.held": "warn",
  "relay.soloPublishing": "warn",
  "relay.soloDeathCounted": "warn",
  "relay.restarting": "warn",
  "relay.lineageChanged": "error",
  "relay.subscriptionStopped": "error",
  "relay.transportBroken": "error",
  "relay.topicBraked": "error",
  "relay.deadLettered": "error",
  "relay.rangesFull": "error",
  "relay.holesTooLong": "error",
  "sql.connectionLost": "warn",
  "http.breakerClosed": "info",
  "http.breakerOpened": "warn",
  "http.destinationGone": "error",
  "rabbitmq.connected": "info",
  "rabbitmq.unblocked": "info",
  "rabbitmq.connectFailed": "warn",
  "rabbitmq.lost": "warn",
  "rabbitmq.returned": "warn",
  "rabbitmq.channelClosed": "warn",
  "rabbitmq.topologyRisky": "warn",
  "rabbitmq.blocked": "error",
  "rabbitmq.culpritFound": "error",
  "kafka.partitionsChanged": "warn",
  "kafka.producerReplaced": "warn",
  "source.joined": "info",
  "source.rebalancing": "info",
  "source.recovered": "info",
  "source.stopped": "info",
  "source.commitFailed": "warn",
  "source.consumerTimedOut": "error",
  "source.redeliveredOften": "warn",
  "source.prefetchReduced": "warn",
  "source.rebuilding": "error",
  "source.gapFound": "error",
  "cli.configured": "info",
  "cli.adminListening": "info",
  "cli.stopping": "info",
  "cli.stopped": "info",
  "cli.transportDoubtful": "warn",
  "cli.transportNotChecked": "warn",
  "cli.drainDeadlinePassed": "error",
  "cli.failed": "error",
  "cli.alert": "error",
  "halfMessage.listening": "info",
  "halfMessage.draining": "info",
  "halfMessage.stopped": "info",
  "halfMessage.failed": "error",
  "halfMessage.purgeFailed": "error",
  "halfMessage.alertTold": "info",
  "halfMessage.alertNotTold": "error",
  "halfMessage.checkScanFailed": "error",
  "halfMessage.checkClaimFailed": "warn",
  "halfMessage.checkNotRecorded": "warn",
  "halfMessage.producerBlocked": "warn",
  "barrier.settleFailed": "error",
};

/** These come once per message while something is down. */
const repeating: ReadonlySet<string> = new Set([
  "relay.retrying",
  "relay.parked",
  "relay.held",
  "relay.spilled",
  "relay.spillDeleted",
  "relay.takenApart",
  "rabbitmq.returned",
]);
const repeatMs = 1_000;

/** Waiting for a reader of stdout, in bytes. */
const waitingBytesMax = 1_048_576;

export function createLog({ level, clock, writeLine }: LogOptions): Log {
  const lastOf = new Map<string, { readonly atMs: number; leftOut: number }>();
  let waitingBytes = 0;
  let dropped = 0;

  /** How many of its kind were left out before it; null: it is left out, too. */
  const repeats = (event: WaybillEvent | CliEvent, whose: Readonly<Record<string, string>>): number | null => {
    if (!repeating.has(event.name)) return 0;
    const kind = [event.name, "reason" in event ? event.reason : "", ...Object.values(whose)].join(" ");
    const last = lastOf.get(kind);
    const nowMs = clock.monotonicMs();
    if (last !== undefined && nowMs - last.atMs < repeatMs) {
      last.leftOut += 1;
      return null;
    }
    if (lastOf.size > 1_000) lastOf.clear();
    lastOf.set(kind, { atMs: nowMs, leftOut: 0 });
    return last?.leftOut ?? 0;
  };

  return {
    write(event, whose = {}) {
      const of = levels[event.name] ?? "debug";
      if (ranks[of] < ranks[level]) return;
      const leftOut = repeats(event, whose);
      if (leftOut === null) return;
      if (waitingBytes > waitingBytesMax && of !== "error") {
        dropped += 1;
        waitingBytes = writeLine("");
        return;
      }
      const counts = { ...(leftOut > 0 ? { leftOut } : {}), ...(dropped > 0 ? { dropped } : {}) };
      dropped = 0;
      waitingBytes = writeLine(`${toJson({ time: new Date(clock.wallMs()).toISOString(), level: of, ...event, ...whose, ...counts })}\n`);
    },
  };
}
