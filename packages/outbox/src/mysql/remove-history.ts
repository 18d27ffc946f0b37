/**
 * One pass of retention on MySQL or MariaDB: the oldest rows go, range by range of the primary key. A step:
 *
 *     removed_to ─▶ ● ● ● ○ ● ● ● ─────────── ● ● ● ─▶ low-water mark ─▶ …          ● old enough   ○ an id without a row
 *                   └─ this step: the first 1 000 ─┘
 *
 * Readers work at the other end of the index and never meet what is deleted; no gap stays locked at READ COMMITTED. How far it came is written
 * in the same transaction: a reader that begins later finds a range without rows there, and must not take it for a million holes. What it
 * rests on: the mark is asked under the lock of the stream's row, which whoever sets a subscription back takes, too; below the low-water mark each id was read or fenced, and a fence is only removed when no insert can be that old.
 */
import { committedValue, type OwnedTx, type Units } from "@waybill/sql";
import type { HistorySettings, RemovedHistory } from "../history-step.ts";
import type { LedgerTables } from "../ledger-tables.ts";
import { takeTurn } from "../take-turn.ts";
import { lockStream } from "./statements/lock-stream.ts";
import { noteRemoved } from "./statements/note-removed.ts";
import { readHistory } from "./statements/read-history.ts";
import { removeClaims } from "./statements/remove-claims.ts";
import { removeRows } from "./statements/remove-rows.ts";

export async function removeMysqlHistory(
  units: Units,
  tables: LedgerTables,
  stream: string,
  settings: HistorySettings,
): Promise<RemovedHistory> {
  const { clock, rowsMax, deadlineMs, onStep, pause } = settings;
  const operation = "removing history";
  const done = { rows: 0, emptied: 0, dropped: 0, ids: 0 };
  for (;;) {
    const startedMs = clock.monotonicMs();
    const step = await takeTurn(clock, async () => {
      const outcome = await units.unitOfWork((tx) => removeOnce(tx, tables, stream, settings), { operation, deadlineMs });
      return committedValue(operation, outcome);
    });
    if (step === "busy") return { ...done, hindrance: "busy" };
    done.rows += step.rows;
    done.ids += step.ids;
    if (step.upTo !== null) onStep({ kind: "removed", rows: step.rows, upTo: step.upTo });
    if (step.ids > 0) onStep({ kind: "forgotten", ids: step.ids });
    const isMore = step.rows === rowsMax || step.ids === rowsMax;
    if (!isMore || !(await pause(clock.monotonicMs() - startedMs))) return { ...done, hindrance: null };
  }
}

/** One transaction's work. `upTo` null: no row was to go. */
async function removeOnce(
  tx: OwnedTx,
  tables: LedgerTables,
  stream: string,
  settings: HistorySettings,
): Promise<"busy" | { readonly rows: number; readonly upTo: bigint | null; readonly ids: number }> {
  const { retentionMs, idRetentionMs, rowsMax } = settings;
  const [held] = (await tx.query(lockStream(tables.stream), [stream])) as readonly { removed_to: string }[];
  if (held === undefined) return "busy";
  const lowWaterMark = await settings.lowWaterMark(tx);
  const candidates = (await tx.query(readHistory(tables.outbox, rowsMax), [
    retentionMs,
    held.removed_to,
    String(lowWaterMark),
  ])) as readonly { id: string; is_old: number | string }[];
  const young = candidates.findIndex(({ is_old: isOld }) => Number(isOld) !== 1);
  const old = young === -1 ? candidates : candidates.slice(0, young);
  const first = old[0];
  const last = old.at(-1);
  if (first !== undefined && last !== undefined) {
    const removed = await tx.execute(removeRows(tables.outbox), [first.id, last.id]);
    // A row that came to be between the two would be gone unread: below the mark there can be none, unless the mark is wrong.
    if (removed !== old.length) throw new Error("A row appeared below the low-water mark: nothing is removed.");
    await tx.execute(noteRemoved(tables.stream), [last.id, stream]);
  }
  const ids = await tx.execute(removeClaims(tables.ids, rowsMax), [idRetentionMs]);
  return { rows: old.length, upTo: last === undefined ? null : BigInt(last.id), ids };
}
