/**
 * The records of one partition between the fetch and the commit. Pure: no clock, no I/O.
 *
 *     received ──▶ waiting ──take──▶ out ──done──▶ settled ──┐ when nothing before it is unsettled
 *                     ▲               │                      └──▶ settled prefix ──commit──▶ forgotten
 *                     └──── again ────┘ its key waits behind it, in memory; other keys go on
 *
 *     offsets   40  41  42  43  44  45          ● settled   ○ not yet
 *                ●   ●   ○   ●   ○   ●
 *                        └ the prefix ends here: 42 is what may be committed
 *
 * One record of a key is out at a time, in the order of the log. Records without key are out side by side.
 *
 * The broker does not mark what it delivers again, so we bound it instead: no record is handed over that lies `windowMax` records or more
 * beyond the last confirmed commit. Whoever is given the partition next knows by that which ones may have been delivered before – the
 * first `windowMax`, of which it says that it cannot tell (`redelivered: null`) – and that none beyond them has.
 */
import type { ReceivedMessage, Settlement } from "@waybill/core";

export interface BufferedRecord {
  readonly offset: bigint;
  readonly message: ReceivedMessage;
  /** What it takes of our memory. */
  readonly bytes: number;
}

/** A record that was taken, to be settled once. */
export interface TakenRecord extends BufferedRecord {
  readonly redelivered: boolean | null;
}

interface Entry {
  readonly offset: bigint;
  /** Counted from the beginning of the generation. */
  readonly ordinal: number;
  /** Null: settled. Only its place is kept, until what is before it is settled, too. */
  record: BufferedRecord | null;
  redelivered: boolean | null;
  /** It waits until then, by the monotonic clock. */
  dueMs: number;
}

/** How far the settled prefix reaches. */
export interface Prefix {
  readonly next: bigint;
  readonly ordinal: number;
}

export interface PartitionBuffer {
  add(records: readonly BufferedRecord[], next: bigint): void;
  /**
   * The log was cut, or made anew, and goes on at `start`, before what was read. Offsets of then and of now do not compare: nothing is
   * committed before what is held of then is settled, and then lower positions than before.
   */
  beginAnew(start: bigint): void;
  /** The first record that may go out now; it is out then. Null: none may. */
  take(nowMs: number): TakenRecord | null;
  /** Answers the bytes that were freed. Settling what is not out is a fault of ours and throws. */
  settle(taken: TakenRecord, settlement: Settlement, nowMs: number): number;
  /** When the next record comes due that is not due yet, or null. */
  nextDueMs(nowMs: number): number | null;
  /** What can be committed and was not said to be committed, or null. */
  toCommit(): Prefix | null;
  committed(prefix: Prefix): void;
  /** Bytes and records that are not settled. */
  readonly bytes: number;
  readonly records: number;
  readonly out: number;
  /** True if a record waits for nothing but its turn, or a commit: not for its time, not behind its key, nor for one that waits for its time. */
  hasWaiting(nowMs: number): boolean;
}

export function createPartitionBuffer(start: bigint, { windowMax }: { readonly windowMax: number }): PartitionBuffer {
  /** Not committed, in order. Those before `head` are settled, and dropped as soon as there are enough of them. */
  let entries: Entry[] = [];
  let head = 0;
  /** Arrived without anything of their key before them, and never out; in order. Those before `freshHead` are gone. */
  let fresh: Entry[] = [];
  let freshHead = 0;
  /** The others that nothing of their key is before: they came again, or moved up. By ordinal; seldom many. */
  const ready: Entry[] = [];
  /** Those of them that were said to come again, and when. */
  const resting = new Set<Entry>();
  /** Unsettled records by key, in order. The first is out or ready. */
  const lines = new Map<string, Entry[]>();
  const outNow = new Map<TakenRecord, Entry>();
  let added = 0;
  let end = start;
  let committedOrdinal = 0;
  let committedNext = start;
  /** Records before it are of a log that is no more. */
  let anewOrdinal = 0;
  let bytes = 0;
  let records = 0;

  const makeReady = (entry: Entry): void => {
    let [from, to] = [0, ready.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((ready[middle] as Entry).ordinal < entry.ordinal) from = middle + 1;
      else to = middle;
    }
    ready.splice(from, 0, entry);
  };
  /** The first that nothing but the window may keep back. */
  const nextOf = (nowMs: number): Entry | undefined => {
    const first = fresh[freshHead];
    const moved = ready.find(({ dueMs }) => dueMs <= nowMs);
    return moved !== undefined && (first === undefined || moved.ordinal < first.ordinal) ? moved : first;
  };
  const passFresh = (): void => {
    freshHead += 1;
    if (freshHead < 1_024 || freshHead * 2 < fresh.length) return;
    fresh = fresh.slice(freshHead);
    freshHead = 0;
  };
  const forget = (entry: Entry, record: BufferedRecord): void => {
    entry.record = null;
    bytes -= record.bytes;
    records -= 1;
    const { key } = record.message;
    if (key !== null) {
      const line = lines.get(key) as Entry[];
      line.shift();
      const next = line[0];
      if (next === undefined) lines.delete(key);
      else makeReady(next);
    }
    while (head < entries.length && entries[head]?.record === null) head += 1;
    if (head < 1_024 || head * 2 < entries.length) return;
    entries = entries.slice(head);
    head = 0;
  };

  return {
    add(arrived, next) {
      for (const record of arrived) {
        const redelivered = added < windowMax ? null : false;
        const entry: Entry = { offset: record.offset, ordinal: added, record, redelivered, dueMs: Number.NEGATIVE_INFINITY };
        added += 1;
        entries.push(entry);
        bytes += record.bytes;
        records += 1;
        const { key } = record.message;
        const line = key === null ? undefined : lines.get(key);
        if (line !== undefined) line.push(entry);
        else {
          if (key !== null) lines.set(key, [entry]);
          fresh.push(entry);
        }
      }
      end = next;
    },

    beginAnew(from) {
      anewOrdinal = added;
      end = from;
      committedNext = from - 1n; // `from` itself is news to the group
    },

    take(nowMs) {
      const entry = nextOf(nowMs);
      if (entry === undefined || entry.ordinal >= committedOrdinal + windowMax) return null;
      if (entry === fresh[freshHead]) passFresh();
      else {
        ready.splice(ready.indexOf(entry), 1);
        resting.delete(entry);
      }
      const taken: TakenRecord = { ...(entry.record as BufferedRecord), redelivered: entry.redelivered };
      outNow.set(taken, entry);
      return taken;
    },

    settle(taken, settlement, nowMs) {
      const entry = outNow.get(taken);
      if (entry === undefined) throw new Error("A record is settled once, and only while it is out.");
      outNow.delete(taken);
      if (settlement.kind === "done") {
        forget(entry, taken);
        return taken.bytes;
      }
      entry.redelivered = true;
      entry.dueMs = nowMs + settlement.afterMs;
      resting.add(entry);
      makeReady(entry);
      return 0;
    },

    nextDueMs(nowMs) {
      let next: number | null = null;
      for (const { dueMs } of resting) if (dueMs > nowMs && (next === null || dueMs < next)) next = dueMs;
      return next;
    },

    toCommit() {
      const first = entries[head];
      if (first !== undefined && first.ordinal < anewOrdinal) return null;
      const prefix = first === undefined ? { next: end, ordinal: added } : { next: first.offset, ordinal: first.ordinal };
      return prefix.next > committedNext ? prefix : null;
    },

    committed({ next, ordinal }) {
      if (next > committedNext && next <= end) committedNext = next; // beyond the end: of a log that is no more
      committedOrdinal = Math.max(committedOrdinal, ordinal);
    },

    hasWaiting(nowMs) {
      const entry = nextOf(nowMs);
      if (entry === undefined) return false;
      const first = entries[head] as Entry;
      const isBeyondWindow = entry.ordinal >= committedOrdinal + windowMax;
      return !(isBeyondWindow && first.ordinal === committedOrdinal && resting.has(first) && first.dueMs > nowMs);
    },

    get bytes() {
      return bytes;
    },
    get records() {
      return records;
    },
    get out() {
      return outNow.size;
    },
  };
}
