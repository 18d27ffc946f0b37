/**
 * Room for ids, made ahead of time, so that a partition is there before the first row that belongs in it.
 *
 *     … ─┤ p1000001 ├┤ p2000001 ├┤ p3000001 ├┤ default
 *              ↑ highest id        └─ ahead ─┘
 *
 * Attaching an empty table stops nobody. If nobody did it in time, rows go to the default partition: nothing fails and nothing is
 * lost, but they stay there, so the next partition begins well beyond them. Attaching then reads the whole default partition while
 * every append that would write there waits, so that it gets `attachMsMax` and no more. A crash anywhere leaves the ledger as it was.
 *
 * An insert goes by the partitions that there were when it began, also with the ids that it takes later:
 *
 *     insert begins ──▶ takes an id ──▶ sends it to the default partition, and waits there ──▶ refused (23514)
 *                           attaching the partition of that id ──────▶ commit ──┘
 *
 * So none begins where the ids of a statement that runs may come: the sequence is read when nobody else can write to the default partition any
 * more, and from there at least a twentieth of a partition is left out. What lies within it goes to the default partition.
 *
 * How many ids a partition holds follows from what comes in: some twenty of them hold what retention keeps, however busy the ledger.
 */
import { type Clock, isWaybillError, wait } from "@waybill/core";
import { committedValue, type OwnedTx, type Units } from "@waybill/sql";
import type { LedgerTables } from "../ledger-tables.ts";
import { takeTurn } from "../take-turn.ts";
import { recentIds } from "./recent-ids.ts";
import { attachPartition } from "./statements/attach-partition.ts";
import { createPartition } from "./statements/create-partition.ts";
import { limitLockWait } from "./statements/limit-lock-wait.ts";
import { limitStatementTime } from "./statements/limit-statement-time.ts";
import { lockStream } from "./statements/lock-stream.ts";
import { lockTable } from "./statements/lock-table.ts";
import { readCommitted } from "./statements/read-committed.ts";
import { readHighestId } from "./statements/read-highest-id.ts";
import { readPartitions } from "./statements/read-partitions.ts";

/** What upkeep did. `made` are first ids. `notOwner`: our role may not change the table, somebody else must. `busy`: try again later. */
export type KeptPartitions =
  | { readonly kind: "kept"; readonly made: readonly bigint[] }
  | { readonly kind: "notOwner" }
  | { readonly kind: "busy"; readonly made: readonly bigint[] };

export interface PartitionSettings {
  readonly clock: Clock;
  /** null: a twentieth of what came in during the last `retentionMs`, at least a million. */
  readonly partitionIds: bigint | null;
  readonly retentionMs: number;
  /** Where fewer lie ahead, twice as many are made. */
  readonly aheadMin: number;
  readonly deadlineMs: number;
  /** How long attaching may keep writers of the default partition waiting. */
  readonly attachMsMax: number;
}

/** A lock that was not to be had is tried for again this often in one call. */
const triesMax = 3;
const betweenTriesMs = 100;

export const lockWaitMs = 100;
/** The same where writers use the default partition now: they queue behind us. */
const usedLockWaitMs = 25;

/** What a new partition holds where nobody said otherwise. */
const partitionIdsMin = 1_000_000n;
const partitionsKept = 20n;

/** Ids within this share of a partition may be taken by statements that run already. */
const nearShare = 20n;
/** Where a partition does not follow the last one, it begins at a multiple of this share. */
const stepShare = 4n;

/** 55P03: a lock was not to be had in time. 23514: meanwhile a row came to lie in the default partition that belongs in the new one. */
const passing: ReadonlySet<string> = new Set(["55P03", "23514"]);
/** Out of time. The same search would take as long a moment later, and writers would wait for it again. */
const outOfTime = "57014";

export async function keepPostgresPartitions(
  units: Units,
  tables: LedgerTables,
  stream: string,
  settings: PartitionSettings,
): Promise<KeptPartitions> {
  const made: bigint[] = [];
  for (let tries = 1; ; ) {
    // Once one had to be made there is to be room for a while.
    const aheadMin = made.length === 0 ? settings.aheadMin : 2 * settings.aheadMin;
    const done = await takeTurn(settings.clock, async () => {
      const outcome = await units.unitOfWork((tx) => makeOne(tx, tables, stream, { ...settings, aheadMin }), {
        operation: "making a partition",
        deadlineMs: settings.deadlineMs,
      });
      const sqlState = outcome.kind === "rolledBack" ? sqlStateOf(outcome.error) : null;
      if (sqlState === outOfTime) return "outOfTime";
      if (sqlState !== null && passing.has(sqlState)) return "locked";
      return committedValue("making a partition", outcome);
    });
    if (done === "locked" && tries < triesMax) {
      tries += 1;
      await wait(settings.clock, betweenTriesMs);
      continue;
    }
    if (done === "enough") return { kind: "kept", made };
    if (done === "notOwner") return { kind: "notOwner" };
    if (done === "busy" || done === "locked" || done === "outOfTime") return { kind: "busy", made };
    made.push(done);
  }
}

export function sqlStateOf(error: Error): string | null {
  return isWaybillError(error, "WAYBILL_DATABASE") ? error.facts.sqlState : null;
}

/** One partition, in one transaction. Answers its first id, or why there is none. */
async function makeOne(
  tx: OwnedTx,
  tables: LedgerTables,
  stream: string,
  { aheadMin, attachMsMax, ...settings }: PartitionSettings,
): Promise<bigint | "enough" | "notOwner" | "busy"> {
  await tx.execute(readCommitted, []);
  if ((await tx.query(lockStream(tables.stream), [stream])).length === 0) return "busy";
  const [row] = (await tx.query(readPartitions(tables.outbox, tables.sequence), [])) as readonly {
    is_owner: boolean;
    highest_id: string;
    reach: string;
    ahead: number;
    now_ms: string;
  }[];
  if (row === undefined || row.ahead >= aheadMin) return "enough";
  if (!row.is_owner) return "notOwner";
  const highestId = BigInt(row.highest_id);
  const partitionIds =
    settings.partitionIds ??
    partitionIdsFor(await recentIds(tx, tables, { highestId, sinceMs: Number(row.now_ms) - settings.retentionMs }));
  await tx.query(limitLockWait, [String(BigInt(row.reach) > highestId + 1n ? lockWaitMs : usedLockWaitMs)]);
  await tx.query(lockTable(tables.defaultPartition), []);
  const [reached] = (await tx.query(readHighestId(tables.sequence), [])) as readonly { highest_id: string }[];
  const low = firstId(BigInt(reached?.highest_id ?? highestId), BigInt(row.reach), partitionIds);
  const partition = tables.partition(low);
  await tx.query(createPartition(tables.outbox, partition), []);
  await tx.query(limitStatementTime, [String(attachMsMax)]);
  await tx.query(attachPartition(tables.outbox, partition, low, low + partitionIds), []);
  return low;
}

/** How many ids a partition is to hold where `recentIds` came in during a time that history is kept for. */
export function partitionIdsFor(recentIds: bigint): bigint {
  const share = recentIds / partitionsKept;
  return share > partitionIdsMin ? share : partitionIdsMin;
}

/**
 * Where the next partition begins: where the last one ends; or, if ids have come near that, a quarter of a partition or two beyond everything that
 * lies in the default partition or is on its way there.
 */
export function firstId(highestId: bigint, reach: bigint, partitionIds: bigint): bigint {
  if (reach > highestId + partitionIds / nearShare) return reach;
  const step = partitionIds / stepShare;
  return ((highestId + 2n * step - 1n) / step) * step + 1n;
}
