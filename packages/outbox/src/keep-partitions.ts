import { type Clock, systemClock, throwConfigProblems } from "@waybill/core";
import type { Namespace, Units } from "@waybill/sql";
import { defaultStream, ledgerTables } from "./ledger-tables.ts";
import { type KeptPartitions, keepPostgresPartitions } from "./postgres/partitions.ts";
import { dayMs, hourMs, wholeNumber } from "./upkeep-options.ts";

export interface KeepPartitionsOptions {
  readonly space: Namespace;
  /** Default `default`. */
  readonly stream?: string;
  /**
   * How many ids a new partition holds: ten times the largest burst, for one that fills before the next is made. Default: a twentieth of what
   * came in during the last `retentionMs`, at least 1 000 000.
   */
  readonly partitionIds?: number;
  /** Milliseconds for which history is kept. Default 1 day. */
  readonly retentionMs?: number;
  /** How many empty partitions lie ahead at least. Where there are fewer, twice as many are made. Default 2. */
  readonly aheadMin?: number;
  /** Milliseconds for each partition. Default 15 000. */
  readonly deadlineMs?: number;
  /** Default: the host's. */
  readonly clock?: Clock;
}

/** Milliseconds that appends to a filled default partition may have to wait. An empty one takes none. */
const attachMsMax = 1_000;

/**
 * Makes partitions ahead of the ledger's highest id. To be called every minute or so by whoever owns the table – the relay, if its
 * role does. Any number of callers may do so at once; one works, the others answer `busy`.
 *
 * The edge: if nobody calls it, rows go to the default partition, where retention removes them only all together. Once they are so
 * many that they cannot be searched in a second, it answers `busy` each time, and somebody must empty that partition.
 *
 * @throws WAYBILL_CONFIG_INVALID, WAYBILL_IDENTIFIER_INVALID, WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_OUTCOME_UNKNOWN (call it again)
 */
export async function keepPartitions(units: Units, options: KeepPartitionsOptions): Promise<KeptPartitions> {
  const { space, stream = defaultStream, partitionIds, retentionMs = dayMs, aheadMin = 2 } = options;
  const { deadlineMs = 15_000, clock = systemClock } = options;
  throwConfigProblems("Keeping partitions", [
    ...(space.dialect === "postgres" ? [] : [{ option: "space.dialect", problem: "postgres is the dialect that has partitions" }]),
    ...(partitionIds === undefined ? [] : wholeNumber("partitionIds", partitionIds, 1_000, 1_000_000_000)),
    ...wholeNumber("retentionMs", retentionMs, hourMs),
    ...wholeNumber("aheadMin", aheadMin, 1, 10),
  ]);
  return keepPostgresPartitions(units, ledgerTables(space, stream), stream, {
    clock,
    partitionIds: partitionIds === undefined ? null : BigInt(partitionIds),
    retentionMs,
    aheadMin,
    deadlineMs,
    attachMsMax,
  });
}
