/**
 * One pass of retention on PostgreSQL. History leaves the ledger by partitions, whole: nothing is deleted row by row beside writers.
 *
 *     ├─ p1 ─┤├─ p1000001 ─┤├─ p2000001 ─┤├─ p3000001 ─ …         default
 *      dropped    emptied    ↑ low-water mark, or too young          emptied, once all of it is old and below the mark
 *
 * Each step is a transaction that holds the row of the stream: of many at once one works, and whoever makes a subscription or sets one back
 * locks the same row, so that the mark cannot fall while a step goes by it. A crash leaves either what was before a step or what is after it.
 *
 * | step | whom it can keep waiting, and how long |
 * |---|---|
 * | empty a partition | who reads it, 100 ms; no writer: all of its ids are below the mark |
 * | drop an empty one | everybody, 10 ms and the drop itself, in one statement: the ledger is locked, so only when it happens to be free |
 * | empty the default one | who reads it; no writer, as long as new ids have a partition of their own |
 * | remove a range | nobody. Where a partition takes longer than twice the retention to fill, so that this costs nothing |
 *
 * Can a writer still reach what goes? An id below the mark is dead for every subscription that was there when it was handed out: its transaction
 * has ended. Only a subscription that began after open writers does not know of theirs. Their rows lock the partition, so that it is not
 * emptied; what they write later lies in an empty partition or in the default one, and is kept for its own time, like everything: it is
 * looked for again under the lock before a partition is dropped.
 */
import { wait } from "@waybill/core";
import { committedValue, type OwnedTx } from "@waybill/sql";
import type { HistorySettings, HistoryStatements, HistoryStep, RemovedHistory } from "../history-step.ts";
import type { LedgerTables } from "../ledger-tables.ts";
import { takeTurn } from "../take-turn.ts";
import { lockWaitMs, sqlStateOf } from "./partitions.ts";
import { recentIds } from "./recent-ids.ts";
import { dropEmptyPartition } from "./statements/drop-empty-partition.ts";
import { limitLockWait } from "./statements/limit-lock-wait.ts";
import { listPartitions } from "./statements/list-partitions.ts";
import { lockStream } from "./statements/lock-stream.ts";
import { lockTable } from "./statements/lock-table.ts";
import { noteRemoved } from "./statements/note-removed.ts";
import { readCommitted } from "./statements/read-committed.ts";
import { readHistory } from "./statements/read-history.ts";
import { readNewest } from "./statements/read-newest.ts";
import { readPartitions } from "./statements/read-partitions.ts";
import { removeClaims } from "./statements/remove-claims.ts";
import { removeRows } from "./statements/remove-rows.ts";
import { truncatePartition } from "./statements/truncate-partition.ts";

/** The whole ledger may be waited for this long and no longer: every writer queues behind us meanwhile. */
const ledgerLockWaitMs = 10;
const triesMax = 3;
const betweenTriesMs = 100;
const lockNotAvailable = "55P03";
const undefinedTable = "42P01";

/** Rows of the default partition are judged as if they lay in one of this many ids. */
const defaultPartitionIds = 1_000_000n;

/** A partition and its bounds: `high` is the first id behind it. */
interface Leaf {
  readonly low: bigint;
  readonly high: bigint;
}

/** What a step works with, under the lock. */
interface Held {
  readonly tx: OwnedTx;
  readonly tables: LedgerTables;
  readonly stream: string;
  readonly settings: HistorySettings;
  readonly removedTo: bigint;
  readonly lowWaterMark: bigint;
  readonly highestId: bigint;
  readonly nowMs: number;
  /** All but the last: the writers' place. */
  readonly leaves: readonly Leaf[];
  readonly last: Leaf | null;
}

type Step = (held: Held) => Promise<HistoryStep | null>;

/** Who removes, and from where. */
interface Upkeep {
  readonly statements: HistoryStatements;
  readonly tables: LedgerTables;
  readonly stream: string;
  readonly settings: HistorySettings;
}

export async function removePostgresHistory(
  statements: HistoryStatements,
  tables: LedgerTables,
  stream: string,
  settings: HistorySettings,
): Promise<RemovedHistory> {
  const { clock } = settings;
  const upkeep = { statements, tables, stream, settings };
  const done = { rows: 0, emptied: 0, dropped: 0, ids: 0 };
  let hindrance: RemovedHistory["hindrance"] = null;

  /** Repeats a step until it finds nothing to do. False: the pass is over. */
  const repeat = async (step: Step, triesAtLock: number): Promise<boolean> => {
    for (let tries = 1; ; ) {
      const startedMs = clock.monotonicMs();
      const taken = await takeTurn(clock, () => inTransaction(upkeep, step));
      if (taken === null) return true;
      if (taken === "busy" || taken === "notOwner") {
        hindrance = taken;
        return false;
      }
      if (taken === "locked") {
        if (tries === triesAtLock) {
          hindrance = taken;
          return true;
        }
        tries += 1;
        if (!(await wait(clock, betweenTriesMs)) || !(await settings.pause(0))) return false;
        continue;
      }
      tries = 1;
      count(done, taken);
      settings.onStep(taken);
      if (!(await settings.pause(clock.monotonicMs() - startedMs))) return false;
    }
  };

  const goesOn =
    (await repeat(emptyOldest, triesMax)) &&
    (await repeat(emptyDefault, triesMax)) &&
    (await repeat(removeRange, 1)) &&
    (await dropEmpty(upkeep, done));
  // Callers' own ids are in nobody's way, and want no ownership.
  if (goesOn || hindrance === "notOwner") await forgetIds(upkeep, done);
  return { ...done, hindrance };
}

function count(done: { rows: number; emptied: number }, step: HistoryStep): void {
  if (step.kind === "removed") done.rows += step.rows;
  if (step.kind === "emptied") done.emptied += 1;
}

/** Work in one transaction, under the lock of the stream's row. null: there was nothing to do. */
async function inTransaction<Done>(
  { statements, tables, stream, settings }: Upkeep,
  work: (held: Held) => Promise<Done | null>,
): Promise<Done | "busy" | "notOwner" | "locked" | null> {
  const operation = "removing history";
  const outcome = await statements.unitOfWork(
    async (tx) => {
      const held = await holdLedger(tx, tables, stream, settings);
      return typeof held === "string" ? held : await work(held);
    },
    { operation, deadlineMs: settings.deadlineMs },
  );
  if (outcome.kind === "rolledBack" && sqlStateOf(outcome.error) === lockNotAvailable) return "locked";
  return committedValue(operation, outcome);
}

async function holdLedger(
  tx: OwnedTx,
  tables: LedgerTables,
  stream: string,
  settings: HistorySettings,
): Promise<Held | "busy" | "notOwner"> {
  await tx.execute(readCommitted, []);
  const [row] = (await tx.query(lockStream(tables.stream), [stream])) as readonly { removed_to: string }[];
  if (row === undefined) return "busy";
  const [ledger] = (await tx.query(readPartitions(tables.outbox, tables.sequence), [])) as readonly {
    is_owner: boolean;
    highest_id: string;
    now_ms: string;
  }[];
  if (ledger?.is_owner !== true) return "notOwner";
  const listed = (await tx.query(listPartitions(tables.outbox), [tables.outboxName])) as readonly { low: string; high: string }[];
  const highestId = BigInt(ledger.highest_id);
  const leaves = listed.map(({ low, high }): Leaf => ({ low: BigInt(low), high: BigInt(high) }));
  return {
    tx,
    tables,
    stream,
    settings,
    removedTo: BigInt(row.removed_to),
    // Nothing lies beyond the highest id but room for what is to come.
    lowWaterMark: smaller(await settings.lowWaterMark(tx), highestId + 1n),
    highestId,
    nowMs: Number(ledger.now_ms),
    leaves: leaves.slice(0, -1),
    last: leaves.at(-1) ?? null,
  };
}

function smaller(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

interface Newest {
  readonly id: bigint;
  readonly isOld: boolean;
}

async function newestOf({ tx, settings }: Held, partition: LedgerTables["outbox"]): Promise<Newest | null> {
  const [row] = (await tx.query(readNewest(partition), [settings.retentionMs])) as readonly { id: string; is_old: boolean }[];
  return row === undefined ? null : { id: BigInt(row.id), isOld: row.is_old };
}

/** The oldest partition that has rows, if nobody needs one of them and none of them is young. */
const emptyOldest: Step = async (held) => {
  const { tx, tables } = held;
  for (const { low, high } of held.leaves) {
    if (high > held.lowWaterMark) return null;
    const partition = tables.partition(low);
    const newest = await newestOf(held, partition);
    if (newest === null) continue;
    if (!newest.isOld) return null;
    await tx.query(limitLockWait, [String(lockWaitMs)]);
    await tx.query(lockTable(partition), []);
    // Whoever had the lock before us may have brought a row that nobody saw.
    if ((await newestOf(held, partition))?.isOld !== true) return null;
    await tx.query(truncatePartition(partition), []);
    await tx.query(noteRemoved(tables.stream), [String(high - 1n), held.stream]);
    return { kind: "emptied", low, upTo: high - 1n };
  }
  return null;
};

/** Rows that came when nobody had made room. As long as new ones have none either, they are left alone: writers would wait for us. */
const emptyDefault: Step = async (held) => {
  const { tx, tables } = held;
  const next = held.highestId + 1n;
  const isRoomAhead = [...held.leaves, ...(held.last === null ? [] : [held.last])].some(({ low, high }) => low <= next && next < high);
  const isOver = (newest: Newest | null): newest is Newest => newest !== null && newest.isOld && newest.id < held.lowWaterMark;
  if (!isRoomAhead || !isOver(await newestOf(held, tables.defaultPartition))) return null;
  await tx.query(limitLockWait, [String(lockWaitMs)]);
  await tx.query(lockTable(tables.defaultPartition), []);
  const newest = await newestOf(held, tables.defaultPartition);
  if (!isOver(newest)) return null;
  await tx.query(truncatePartition(tables.defaultPartition), []);
  await tx.query(noteRemoved(tables.stream), [String(newest.id), held.stream]);
  return { kind: "emptied", low: null, upTo: newest.id };
};

/** The oldest rows of a quiet ledger: its partitions take so long to fill that history would be kept for far longer than was asked. */
const removeRange: Step = async (held) => {
  const { tx, tables, settings } = held;
  const candidates = (await tx.query(readHistory(tables.outbox), [
    settings.retentionMs,
    String(held.removedTo),
    String(held.lowWaterMark),
    settings.rowsMax,
  ])) as readonly { id: string; is_old: boolean }[];
  const young = candidates.findIndex(({ is_old: isOld }) => !isOld);
  const old = young === -1 ? candidates : candidates.slice(0, young);
  const first = old[0];
  const last = old.at(-1);
  if (first === undefined || last === undefined) return null;
  const leaf = [...held.leaves, ...(held.last === null ? [] : [held.last])].find(({ high }) => BigInt(first.id) < high);
  const partitionIds = leaf === undefined || BigInt(first.id) < leaf.low ? defaultPartitionIds : leaf.high - leaf.low;
  const recent = await recentIds(tx, tables, { highestId: held.highestId, sinceMs: held.nowMs - settings.retentionMs });
  if (2n * recent > partitionIds) return null;
  const removed = await tx.execute(removeRows(tables.outbox), [first.id, last.id]);
  // A row that came to be between the two would be gone unread: below the mark there can be none, unless the mark is wrong.
  if (removed !== old.length) throw new Error("A row appeared below the low-water mark: nothing is removed.");
  await tx.query(noteRemoved(tables.stream), [last.id, held.stream]);
  return { kind: "removed", rows: removed, upTo: BigInt(last.id) };
};

/** Drops what is empty and has its time behind it, as long as the ledger happens to be free. Writers stand still meanwhile, so it must be quick or not be. */
async function dropEmpty(upkeep: Upkeep, done: { dropped: number }): Promise<boolean> {
  const { statements, tables, stream, settings } = upkeep;
  for (;;) {
    const startedMs = settings.clock.monotonicMs();
    const found = await takeTurn(settings.clock, () => inTransaction(upkeep, findEmpty));
    if (found === null || typeof found === "string") return found === null;
    const leaf = { partition: tables.partition(found.low), high: found.high, stream, waitMs: ledgerLockWaitMs };
    try {
      const text = dropEmptyPartition({ outbox: tables.outbox, streams: tables.stream }, leaf);
      await statements.execute(text, [], { deadlineMs: settings.deadlineMs });
    } catch (error) {
      const sqlState = error instanceof Error ? sqlStateOf(error) : null;
      // Whether a partition that is empty is also dropped matters to nobody yet: next time.
      if (sqlState === lockNotAvailable) return true;
      // Another pass has dropped it since we looked.
      if (sqlState === undefinedTable) continue;
      throw error;
    }
    done.dropped += 1;
    settings.onStep({ kind: "dropped", low: found.low });
    if (!(await settings.pause(settings.clock.monotonicMs() - startedMs))) return false;
  }
}

async function findEmpty(held: Held): Promise<Leaf | null> {
  for (const leaf of held.leaves) {
    if (leaf.high > held.lowWaterMark) return null;
    if ((await newestOf(held, held.tables.partition(leaf.low))) === null) return leaf;
  }
  return null;
}

/** Forgets callers' own ids, whatever else the ledger's row is held for: claims are nobody's history. */
async function forgetIds({ statements, tables, stream, settings }: Upkeep, done: { ids: number }): Promise<void> {
  const { idRetentionMs, rowsMax, deadlineMs, clock, pause, onStep } = settings;
  const operation = "forgetting ids";
  for (;;) {
    const startedMs = clock.monotonicMs();
    const forgotten = await takeTurn(clock, async () => {
      const outcome = await statements.unitOfWork(
        async (tx) => {
          if ((await tx.query(lockStream(tables.stream), [stream])).length === 0) return "busy" as const;
          return tx.execute(removeClaims(tables.ids), [idRetentionMs, rowsMax]);
        },
        { operation, deadlineMs },
      );
      return committedValue(operation, outcome);
    });
    const ids = forgotten === "busy" ? 0 : forgotten;
    done.ids += ids;
    if (ids > 0) onStep({ kind: "forgotten", ids });
    if (ids < rowsMax || !(await pause(clock.monotonicMs() - startedMs))) return;
  }
}
