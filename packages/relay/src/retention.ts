/**
 * Retention of one ledger: room ahead of the writers, history behind the readers. A relay does it once a minute beside publishing; where its role
 * does not own the tables, a scheduler does it under one that does, with `waybill retention run`. Everything in here may run any number
 * of times at once: the row of the stream lets one work.
 */
import { type Clock, isWaybillError } from "@waybill/core";
import { type HistoryStep, keepPartitions, type LedgerMeasure, measureLedger, removeHistory } from "@waybill/outbox";
import type { Namespace, Statements, Units } from "@waybill/sql";
import { type LowWaterMark, readLowWaterMark } from "./low-water-mark.ts";

export interface RetentionOptions {
  readonly space: Namespace;
  /** Default `default`. */
  readonly stream?: string;
  /** Milliseconds for which history is kept that every subscription has passed. Default 1 day, at least 1 hour. */
  readonly retentionMs?: number;
  /** Milliseconds for which callers' own ids are remembered. Default 7 days, at least 1. */
  readonly idRetentionMs?: number;
  /** PostgreSQL: ids of a new partition. Default: a twentieth of what came in during the last `retentionMs`, at least a million. */
  readonly partitionIds?: number;
  /** Default: the host's. */
  readonly clock?: Clock;
}

export interface RunRetentionOptions extends RetentionOptions {
  /** What was done, as it is done; `made` is a partition's first id. */
  readonly onStep?: (step: HistoryStep | { readonly kind: "made"; readonly low: bigint }) => void;
  /** Between two steps, with what the last one took. False: no further one. Default: a tenth of the time is spent on them. */
  readonly pause?: (tookMs: number) => Promise<boolean>;
}

/** What a run did, and what kept it from doing more: `busy`, `locked`, `notOwner`, or `refused:` and the server's code. */
export interface RetentionRun {
  readonly made: number;
  readonly rows: number;
  readonly emptied: number;
  readonly dropped: number;
  readonly ids: number;
  readonly partitionsHindrance: string | null;
  readonly historyHindrance: string | null;
}

/**
 * Makes partitions ahead (PostgreSQL) and removes what no subscription needs and what is old enough. A server that refuses is a hindrance; a
 * connection that is lost is an error.
 *
 * @throws WAYBILL_CONFIG_INVALID, WAYBILL_IDENTIFIER_INVALID, WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_OUTCOME_UNKNOWN (run it again)
 */
export async function runRetention(statements: Units & Pick<Statements, "execute">, options: RunRetentionOptions): Promise<RetentionRun> {
  const { space, stream = "default", partitionIds, onStep = () => undefined } = options;
  const run = { made: 0, rows: 0, emptied: 0, dropped: 0, ids: 0 };
  const times = {
    space,
    stream,
    ...(options.retentionMs === undefined ? {} : { retentionMs: options.retentionMs }),
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  };
  const partitionsHindrance = await hindranceOf(async () => {
    if (space.dialect !== "postgres") return null;
    const kept = await keepPartitions(statements, { ...times, ...(partitionIds === undefined ? {} : { partitionIds }) });
    if (kept.kind === "notOwner") return kept.kind;
    run.made = kept.made.length;
    for (const low of kept.made) onStep({ kind: "made", low });
    return kept.kind === "kept" ? null : kept.kind;
  });
  const historyHindrance = await hindranceOf(async () => {
    const { hindrance, ...removed } = await removeHistory(statements, {
      ...times,
      lowWaterMark: async (tx) => (await readLowWaterMark(tx, space, stream))?.id ?? 0n,
      ...(options.idRetentionMs === undefined ? {} : { idRetentionMs: options.idRetentionMs }),
      ...(options.pause === undefined ? {} : { pause: options.pause }),
      onStep,
    });
    Object.assign(run, removed);
    return hindrance;
  });
  return { ...run, partitionsHindrance, historyHindrance };
}

/** What hindered `work`, or null. */
export async function hindranceOf(work: () => Promise<string | null>): Promise<string | null> {
  try {
    return await work();
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_DATABASE")) throw error;
    const { errno, sqlState } = error.facts;
    if (errno === null && sqlState === null) throw error;
    return `refused:${errno ?? sqlState}`;
  }
}

/** A ledger as retention sees it. */
export interface RetentionStatus extends LedgerMeasure {
  readonly stream: string;
  /** Below it nothing is needed, and who needs what lies at it; null: there is no subscription, and everything is kept. */
  readonly lowWaterMark: LowWaterMark | null;
  /** A run would remove ids up to here; on PostgreSQL whole partitions below it, and of a quiet ledger the rows. */
  readonly removableUpTo: bigint;
  /** How many ids that are; ids that nobody used, or whose rows are gone, are among them. */
  readonly removableIds: bigint;
}

/**
 * Looks at a ledger: how large it is, what is needed of it and by whom, what would be removed. A few short statements; changes nothing.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID, WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export async function readRetention(statements: Pick<Statements, "query">, options: RetentionOptions): Promise<RetentionStatus> {
  const { space, stream = "default", retentionMs } = options;
  const lowWaterMark = await readLowWaterMark(statements, space, stream);
  const measure = await measureLedger(statements, space, {
    stream,
    neededFrom: lowWaterMark?.id ?? null,
    ...(retentionMs === undefined ? {} : { retentionMs }),
  });
  const unneededUpTo = lowWaterMark === null ? measure.removedTo : lowWaterMark.id - 1n;
  const removableUpTo = unneededUpTo < measure.oldUpTo ? unneededUpTo : measure.oldUpTo;
  const removableIds = removableUpTo > measure.removedTo ? removableUpTo - measure.removedTo : 0n;
  return { ...measure, stream, lowWaterMark, removableUpTo, removableIds };
}

/** More partitions than this cost every plan and every lock of the whole ledger. */
export const partitionsMax = 50;

/** What somebody ought to look at. `pinned`: history that is old stays, for a subscription that nobody runs. */
export type RetentionAlert = "pinned" | "defaultUsed" | "partitionsMany";

/** @param retentionMs milliseconds for which history is kept. Default 1 day */
export function retentionAlerts(status: RetentionStatus, retentionMs = 86_400_000): readonly RetentionAlert[] {
  const { lowWaterMark, neededAgeMs, partitions } = status;
  const isRun = lowWaterMark === null || (lowWaterMark.isHeld && lowWaterMark.state === "active");
  return [
    ...(!isRun && neededAgeMs !== null && neededAgeMs > retentionMs ? (["pinned"] as const) : []),
    ...(partitions !== null && partitions.defaultRows > 0 ? (["defaultUsed"] as const) : []),
    ...(partitions !== null && partitions.count > partitionsMax ? (["partitionsMany"] as const) : []),
  ];
}
