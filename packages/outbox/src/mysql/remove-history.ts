/**
 * One step of retention: the oldest rows go, as one range of the primary key.
 *
 *     removed_to ─▶ ● ● ● ○ ● ● ● ─────────── ● ● ● ─▶ low-water mark ─▶ …          ● old enough   ○ an id without a row
 *                   └─ this step: the first 1 000 ─┘
 *
 * Readers work at the other end of the index and never meet what is deleted; no gap stays locked at READ COMMITTED. How far it came is written
 * in the same transaction: a reader that begins later finds a range without rows there, and must not take it for a million holes. What it
 * rests on: below the low-water mark each id was read or fenced, and a fence is only removed when no insert can be that old.
 */
import type { OwnedTx } from "@waybill/sql";
import type { LedgerTables } from "../ledger-tables.ts";
import { lockStream } from "./statements/lock-stream.ts";
import { noteRemoved } from "./statements/note-removed.ts";
import { readHistory } from "./statements/read-history.ts";
import { removeClaims } from "./statements/remove-claims.ts";
import { removeRows } from "./statements/remove-rows.ts";

export interface HistoryStep {
  readonly lowWaterMark: bigint;
  readonly retentionMs: number;
  readonly idRetentionMs: number;
  readonly rowsMax: number;
}

/** What a step removed: rows of the ledger, and claims of callers' own ids. `isMore`: call again. */
export type RemovedHistory =
  | { readonly kind: "removed"; readonly rows: number; readonly claims: number; readonly isMore: boolean }
  | { readonly kind: "busy" };

/** One transaction's work. */
export async function removeOnce(tx: OwnedTx, tables: LedgerTables, stream: string, step: HistoryStep): Promise<RemovedHistory> {
  const [held] = (await tx.query(lockStream(tables.stream), [stream])) as readonly { removed_to: string }[];
  if (held === undefined) return { kind: "busy" };
  const candidates = (await tx.query(readHistory(tables.outbox, step.rowsMax), [
    step.retentionMs,
    held.removed_to,
    String(step.lowWaterMark),
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
  const claims = await tx.execute(removeClaims(tables.ids, step.rowsMax), [step.idRetentionMs]);
  return { kind: "removed", rows: old.length, claims, isMore: old.length === step.rowsMax || claims === step.rowsMax };
}
