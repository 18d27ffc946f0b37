/**
 * What a relay does once a minute beside publishing, on a connection of its own: space ahead of the writers, history behind the readers, a look at
 * both, and decided dead letters that are old enough to go. None of it may stop the relay; who ought to know is told.
 *
 * Once per database and stream is enough; where several do it at once, one works and the others find it `busy`.
 */
import type { Clock } from "@waybill/core";
import type { DeadLetters, Reader } from "@waybill/dead-letter";
import type { Connection, Namespace } from "@waybill/sql";
import { readLowWaterMark } from "./low-water-mark.ts";
import type { RelaySettings } from "./options.ts";
import { type RetentionAlert, type RetentionStatus, readRetention, retentionAlerts, runRetention } from "./retention.ts";
import type { RelayReport } from "./session.ts";

const upkeepMs = 60_000;
const removedAtOnceMax = 1_000;
/** Between two steps of removing history: a tenth of the time at most is spent on it. */
const stepPauseMs = 20;

/** What it needs of a session. */
export interface UpkeepParts {
  readonly settings: Pick<RelaySettings, "stream" | "retentionMs" | "idRetentionMs" | "partitionIds" | "decidedRetentionMs">;
  readonly space: Namespace;
  readonly clock: Clock;
  readonly connections: { readonly upkeep: Connection };
  readonly deadLetters: DeadLetters;
  readonly reader: Reader;
  readonly isDraining: boolean;
  /** False: the session has ended. */
  pause(afterMs: number): Promise<boolean>;
  report(event: RelayReport): void;
}

export async function keepUp(parts: UpkeepParts): Promise<void> {
  const { settings, deadLetters, reader, connections } = parts;
  const tellPartitions = tellOnce((reason) => parts.report({ name: "relay.partitionsNotKept", reason }));
  const tellHistory = tellOnce((reason) => parts.report({ name: "relay.historyNotRemoved", reason }));
  const tellAlerts = alertsOf(parts);
  do {
    if (parts.isDraining) return;
    const { partitionsHindrance, historyHindrance } = await retain(parts);
    tellPartitions(partitionsHindrance);
    // A reader in the way is gone some day; until then the size of the ledger tells.
    tellHistory(historyHindrance === "locked" ? null : historyHindrance);
    tellAlerts(await look(parts));
    await deadLetters.removeDecided(connections.upkeep, reader, settings.decidedRetentionMs, removedAtOnceMax);
  } while (await parts.pause(upkeepMs));
}

async function retain(parts: UpkeepParts): ReturnType<typeof runRetention> {
  const { connections, space, settings, clock, report } = parts;
  const mark = await readLowWaterMark(connections.upkeep, space, settings.stream);
  report({ name: "relay.historyRemoving", lowWaterMark: mark?.id ?? 0n });
  const run = await runRetention(connections.upkeep, {
    ...optionsOf(parts),
    clock,
    onStep: (step) => {
      if (step.kind === "made") report({ name: "relay.partitionMade", low: step.low });
      else if (step.kind === "emptied") report({ name: "relay.partitionEmptied", low: step.low, upTo: step.upTo });
      else if (step.kind === "dropped") report({ name: "relay.partitionDropped", low: step.low });
    },
    pause: async (tookMs) => !parts.isDraining && (await parts.pause(Math.max(stepPauseMs, 9 * tookMs))),
  });
  const { rows, emptied, dropped, ids } = run;
  report({ name: "relay.historyRemoved", rows, emptied, dropped, ids });
  return run;
}

function optionsOf({ space, settings }: UpkeepParts) {
  const { stream, retentionMs, idRetentionMs, partitionIds } = settings;
  return { space, stream, retentionMs, idRetentionMs, ...(partitionIds === null ? {} : { partitionIds }) };
}

async function look(parts: UpkeepParts): Promise<RetentionStatus> {
  const status = await readRetention(parts.connections.upkeep, optionsOf(parts));
  const { lowWaterMark, highestId, removedTo, bytes, neededAgeMs, partitions } = status;
  parts.report({
    name: "relay.ledgerMeasured",
    highestId,
    removedTo,
    bytes,
    lowWaterMark: lowWaterMark?.id ?? null,
    heldBackBy: lowWaterMark?.subscription ?? null,
    neededAgeMs,
    partitions: partitions?.count ?? null,
    partitionsAhead: partitions?.ahead ?? null,
    defaultRows: partitions?.defaultRows ?? null,
  });
  return status;
}

/** Tells each alert when it comes, and again when it comes back. */
function alertsOf({ settings, report }: UpkeepParts): (status: RetentionStatus) => void {
  let told: readonly RetentionAlert[] = [];
  return (status) => {
    const alerts = retentionAlerts(status, settings.retentionMs);
    const { lowWaterMark, neededAgeMs, partitions } = status;
    for (const alert of alerts.filter((each) => !told.includes(each))) {
      if (alert === "pinned" && lowWaterMark !== null) {
        report({
          name: "relay.historyPinned",
          by: lowWaterMark.subscription,
          lowWaterMark: lowWaterMark.id,
          neededAgeMs: neededAgeMs ?? 0,
        });
      }
      if (alert === "defaultUsed") report({ name: "relay.defaultPartitionUsed", rows: partitions?.defaultRows ?? 0 });
      if (alert === "partitionsMany") report({ name: "relay.partitionsMany", partitions: partitions?.count ?? 0 });
    }
    told = alerts;
  };
}

/** Tells of a hindrance when it comes, and of another when it changes. */
export function tellOnce(tell: (reason: string) => void): (reason: string | null) => void {
  let told: string | null = null;
  return (reason) => {
    if (reason !== null && reason !== told) tell(reason);
    told = reason;
  };
}
