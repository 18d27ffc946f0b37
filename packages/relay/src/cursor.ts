/**
 * How a subscription comes through its ledger without losing a message whose transaction commits late. No I/O, no time.
 *
 *     id    40  41  42  43  44  45  46          ● visible    ○ skipped: open, rolled back, or never used
 *            ●   ●   ○   ●   ●   ○   ●
 *                    └─ holes ───┘   └ last id
 *
 *     unread ──read──▶ open ──finished: confirmed, or a durable dead letter──▶ gone
 *       │                └── may wait, be parked, be tried again: stays open
 *       └──skipped──▶ hole ──row appears──▶ open, before anything later of its key
 *                      └──── proven dead ──▶ forgotten
 *
 * What is saved is the last id with the union of holes and open ids: exactly what has to be read again after a crash. Applying a
 * batch, finishing an id and taking a snapshot are synchronous steps of one thread, and an id leaves the saved set for two reasons
 * only – finished or proven dead. So every older save names a superset of what is still to do: a crash at any point loses nothing
 * and repeats at most what was finished since the last save. That is also why a save may be relaxed, late or lost, but never
 * reordered with a later one.
 *
 * Whatever this file holds is only true of the database it was read from, over a connection that never broke: every reconnect,
 * error or new lease throws the cursor away and begins with the saved one (rule R1). A server that crashed with relaxed commits gives
 * ids out again; a relay that remembered the old ones would skip the new rows.
 */
import assert from "node:assert/strict";
import { addRange, countIds, type IdRange, rangesFromIds, subtractRanges, uniteRanges } from "@waybill/outbox";
import type { SavedCursor } from "./subscriptions.ts";

/** An id that was read and is not finished. Whoever publishes it keeps the object and finishes it. */
export interface OpenId {
  readonly id: bigint;
  isFinished: boolean;
}

export interface Cursor<Open extends OpenId> {
  readonly lastId: bigint;
  /** Skipped ids, ascending. Only these are read again and may be proved dead; open ids are not among them. */
  readonly holes: readonly IdRange[];
  readonly openCount: number;
  /** The open id that was read first of all, for its age; null if nothing is open. */
  oldestOpen(): Open | null;
  /**
   * Takes a batch in, before anything of it is published: ids found in holes leave them, ids skipped beyond `lastId` become holes,
   * all of the batch are open. The ids must ascend, and those at or below `lastId` must lie in holes; anything else is a bug.
   */
  apply(batch: readonly Open[]): void;
  /** Confirmed, or given up durably. */
  finish(open: Open): void;
  /** An open id becomes a hole again: its row was not there when it was read once more. */
  giveBack(open: Open): void;
  /** Proven dead, and confirmed so by a read that was sent after the proof. Open ids are left alone. */
  forget(dead: readonly IdRange[]): void;
  /** What to save now. */
  snapshot(): SavedCursor;
}

/** Begins where a saved cursor ends: all its ranges are to be read again, so all of them are holes. */
export function createCursor<Open extends OpenId>(saved: SavedCursor): Cursor<Open> {
  let lastId = saved.lastId;
  let holes: readonly IdRange[] = saved.ranges;
  // In the order they were read: ascending, but for those that came out of holes. Finished ones are swept when they are the most.
  let open: Open[] = [];
  let finishedCount = 0;

  const sweep = (): void => {
    if (finishedCount < 1_024 || finishedCount * 2 < open.length) return;
    open = open.filter((one) => !one.isFinished);
    finishedCount = 0;
  };

  return {
    get lastId() {
      return lastId;
    },
    get holes() {
      return holes;
    },
    get openCount() {
      return open.length - finishedCount;
    },
    oldestOpen: () => open.find((one) => !one.isFinished) ?? null,
    apply(batch) {
      if (batch.length === 0) return;
      const filled: bigint[] = [];
      const skipped: IdRange[] = [];
      let previous: bigint | null = null;
      for (const one of batch) {
        assert(previous === null || one.id > previous, "ids of a batch must ascend");
        previous = one.id;
        if (one.id <= lastId) {
          filled.push(one.id);
          continue;
        }
        if (one.id > lastId + 1n) skipped.push({ low: lastId + 1n, high: one.id - 1n });
        lastId = one.id;
      }
      if (filled.length > 0) {
        const left = subtractRanges(holes, rangesFromIds(filled));
        assert(countIds(holes) - countIds(left) === BigInt(filled.length), "an id at or below the last one was read that is no hole");
        holes = left;
      }
      if (skipped.length > 0) holes = [...holes, ...skipped];
      for (const one of batch) open.push(one);
    },
    finish(one) {
      if (one.isFinished) return;
      one.isFinished = true;
      finishedCount += 1;
      sweep();
    },
    giveBack(one) {
      if (one.isFinished) return;
      holes = addRange(holes, { low: one.id, high: one.id });
      one.isFinished = true;
      finishedCount += 1;
      sweep();
    },
    forget(dead) {
      holes = subtractRanges(holes, dead);
    },
    snapshot() {
      const ids: bigint[] = [];
      let isAscending = true;
      for (const one of open) {
        if (one.isFinished) continue;
        const before = ids.at(-1);
        if (before !== undefined && before > one.id) isAscending = false;
        ids.push(one.id);
      }
      if (!isAscending) ids.sort((left, right) => (left < right ? -1 : 1));
      return { lastId, ranges: uniteRanges(holes, rangesFromIds(ids)) };
    },
  };
}
