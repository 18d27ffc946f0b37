/**
 * Reads the ledger: holes and what lies beyond the last id, in one statement, one batch at a time.
 *
 *     read k ──▶ apply k (cursor, lanes) ──▶ read k + 1 is sent ──▶ …
 *                     └──▶ looked up, if need be ──▶ published meanwhile; with a backlog only after the next read is on its way
 *
 * A batch is applied before anything of it is published and before the next read is sent. A row that was read is looked up in the
 * dead letters and in the spill before its lane may take it: by sequence, because what lies there in any state is finished for the ledger,
 * and by lane where the lane is not in memory. The look-up is left out only while nothing can be found: nothing is open or spilled there,
 * and the ids lie above the highest sequence that acquire saw.
 */
import { wait } from "@waybill/core";
import type { Lane as LaneName } from "@waybill/dead-letter";
import { type IdRange, type LedgerBatch, type LedgerRow, payloadBytesInlineMax } from "@waybill/outbox";
import type { Bringing } from "./bringing.ts";
import type { GivingUp } from "./giving-up.ts";
import { createHoldingBack } from "./holding-back.ts";
import type { Entry, Lane } from "./lanes.ts";
import { messageFilter } from "./message-filter.ts";
import { headerParser, isFence, unreadableReason } from "./outgoing.ts";
import { pollInterval } from "./poll-interval.ts";
import type { Progress } from "./progress.ts";
import type { Session } from "./session.ts";
import type { LoadedBounds } from "./share-loaded.ts";
import { soloDeathsMax } from "./solo.ts";
import type { Waiting } from "./waiting.ts";

/** Holes and open ids together; beyond this nothing new is read. About 100 bytes each in memory, 16 in the saved cursor. */
export const rangesMax = 100_000;

/** Rows of one read: while there is nothing much to read, while there is a backlog, and for very many holes. */
const rowsAtLeast = 500;
const rowsOfBacklog = 2_000;
const rowsMaxOfAll = 5_000;
/** A relay that may hold little reads in smaller steps: what one read brings is at most 2.5 times its `loadedBytesMax`, half its `loadedMax`. */
const rowsOfLittle = 100;

/** Between two questions whether there is room by now. */
const heldPauseMs = 5;

/** What an entry costs in memory beside its payload. */
const entryBytes = 300;

export interface Reading {
  /** Reads until the session ends or drains. */
  run(): Promise<void>;
  /** Reads at once instead of waiting for the poll. */
  wake(): void;
  /** These holes are proved dead: forgotten once a read that is sent after this call has covered them. */
  proved(dead: readonly IdRange[]): void;
  /** True while there is no room for new ids. */
  readonly isFull: boolean;
  /** Whether the last read found everything there was. */
  readonly isCaughtUp: boolean;
}

export function createReading(
  session: Session,
  progress: Progress,
  waiting: Waiting,
  givingUp: GivingUp,
  bringing: Bringing,
  /** Of the dead letters and the spilled messages that acquire found; null: there was none. */
  highestAtStart: bigint | null,
  kick: () => void,
): Reading {
  const { settings, ledger, connections, cursor, lanes, clock, deadLetters, reader, spill } = session;
  const highestSequence = highestAtStart ?? 0n;
  const storedLastId = cursor.lastId;
  const parseHeaders = headerParser();
  const isWanted = messageFilter(settings.filter);
  const holdingBack = createHoldingBack(session);
  const interval = pollInterval(settings.pollMinMs, settings.pollMaxMs);
  let provedDead: { readonly ranges: readonly IdRange[]; readonly afterRead: number }[] = [];
  let sent = 0;
  let isFull = false;
  let isCaughtUp = false;
  let poll = new AbortController();
  let isWoken = false;
  let lookUps: Promise<void> = Promise.resolve();

  session.ended.addEventListener("abort", () => poll.abort(), { once: true });

  const entryOf = (row: LedgerRow): Entry => {
    const headers = parseHeaders(row.headers);
    const deaths = progress.deaths.size === 0 ? 0 : (progress.deaths.get(row.id) ?? 0);
    const payloadBytes = row.leftBytes ?? (row.payload === null ? 0 : row.payload.length);
    return {
      id: row.id,
      isFinished: false,
      lane: lanes.lane(row.topic, row.key),
      messageId: row.messageId,
      createdAtMs: row.createdAtMs,
      row: row.leftBytes === null ? row : null,
      bytes: payloadBytes + 2 * ((row.headers?.length ?? 0) + (row.key?.length ?? 0)) + entryBytes,
      headers,
      unreadable: deaths >= soloDeathsMax ? "killsTheRelay" : unreadableReason(row, headers),
      attempts: 0,
      mayBeStored: deaths > 0,
      isBrought: false,
      isAwaited: false,
      isSpilled: false,
    };
  };

  /**
   * Whether the bytes of what was just read stay in memory. Not if it waits, nor if its topic has failed or has filled half of
   * what may be loaded: a topic that hangs, or is only slow, must leave room for the others.
   */
  const mayStay = (lane: Lane): boolean =>
    !waiting.isWaiting(lane) &&
    lane.topic.failures === 0 &&
    lane.topic.loadedCount < settings.loadedMax / 2 &&
    lane.topic.loadedBytes < settings.loadedBytesMax / 2;

  /** Takes a batch in. Synchronous: nothing of it can be published before all of it is applied. */
  const apply = (batch: LedgerBatch, readNumber: number): void => {
    const entries = batch.rows.map(entryOf);
    const newLanes: Lane[] = [];
    const parked = new Set<string>();
    let parkedCount = 0;
    const [first] = entries;
    const isLookedUp = first !== undefined && (givingUp.mayBeOpen || bringing.mayHaveCopies || first.id <= highestSequence);
    cursor.apply(entries);
    for (let place = 0; place < entries.length; place += 1) {
      const entry = entries[place] as Entry;
      if (entry.id <= storedLastId) progress.await(entry);
      const row = batch.rows[place] as LedgerRow;
      if (isFence(row) || !isWanted(row)) {
        progress.settled(entry);
        cursor.finish(entry);
        // The cursor keeps finished entries for a while, and nobody takes these bytes away.
        entry.row = null;
        continue;
      }
      const { lane } = entry;
      if (isLookedUp && lane.entries.length === 0 && !lane.isBusy) newLanes.push(lane);
      if (entry.row !== null && !mayStay(lane)) {
        entry.row = null;
        entry.headers = null;
        parked.add(lane.topic.name);
        parkedCount += 1;
      }
      if (waiting.isWaiting(lane)) progress.settled(entry);
      lanes.enter(entry);
      holdingBack.note(lane);
    }
    if (isLookedUp) lookUp(entries, newLanes);
    for (const entry of entries) lanes.settle(entry.lane);
    if (parkedCount > 0) session.report({ name: "relay.parked", messages: parkedCount, topics: [...parked].slice(0, 10) });
    if (!batch.areHolesCut) {
      progress.storedWereRead();
      forgetProved(readNumber);
    }
    if (entries.length > 0) session.isDirty = true;
  };

  const forgetProved = (readNumber: number): void => {
    if (provedDead.length === 0) return;
    for (const { ranges, afterRead } of provedDead) {
      if (readNumber <= afterRead) continue;
      cursor.forget(ranges);
      session.isDirty = true;
      session.report({ name: "relay.holesForgotten", ranges: ranges.length });
    }
    provedDead = provedDead.filter(({ afterRead }) => readNumber <= afterRead);
  };

  /** Blocks the lanes of these entries until dead letters and spill have answered. */
  const lookUp = (entries: readonly Entry[], newLanes: readonly Lane[]): void => {
    const touched = new Set<Lane>();
    for (const { lane } of entries) touched.add(lane);
    for (const lane of touched) lane.lookUps += 1;
    const names = new Map<string, LaneName>();
    for (const { topic, key } of newLanes) if (key !== null) names.set(`${topic.name}\u0000${key}`, { topic: topic.name, key });
    lookUps = lookUps.then(async () => {
      if (session.ended.aborted) return;
      session.report({ name: "relay.lookingUp", messages: entries.length });
      const sequences = entries.map((entry) => entry.id);
      const asked = [...names.values()];
      // In this order: what is given up moves from the spill to the dead letters, and must not be missed in both.
      const copies = await spill.lookUp(connections.lookUp, sequences, asked);
      const found = await deadLetters.lookUp(connections.lookUp, reader, sequences, asked);
      if (session.ended.aborted) return;
      for (const place of copies.lanes) {
        const name = asked[place];
        if (name !== undefined) lanes.lane(name.topic, name.key).hasSpilled = true;
      }
      for (const open of found.openLanes) {
        const lane = lanes.lane(open.topic, open.key);
        lane.isOpen = true;
        lane.hasHeld ||= open.hasHeld;
      }
      const finished = new Set([...found.finished, ...copies.spilled].map(({ sequence, messageId }) => `${sequence} ${messageId}`));
      for (const entry of entries) {
        if (entry.isFinished || !finished.has(`${entry.id} ${entry.messageId}`)) continue;
        progress.settled(entry);
        cursor.finish(entry);
        lanes.leave(entry);
        session.isDirty = true;
      }
      session.report({ name: "relay.lookedUp", finished: finished.size, held: found.openLanes.length });
      for (const lane of touched) {
        lane.lookUps -= 1;
        lanes.settle(lane);
      }
      kick();
    });
    lookUps.catch(session.fail);
  };

  /** What was brought comes on top: a topic that fills its half, and has as much brought again, must not keep the others from being read. */
  const hasRoom = (): boolean =>
    lanes.loadedCount - lanes.broughtCount < settings.loadedMax && lanes.loadedBytes - lanes.broughtBytes < settings.loadedBytesMax;

  /** Reports once when the ranges fill up. */
  const noteFull = (): void => {
    const ranges = cursor.holes.length + cursor.openCount;
    const wasFull = isFull;
    isFull = ranges >= rangesMax || cursor.holes.length > ledger.holesMax;
    if (!isFull || wasFull) return;
    const topics = [...lanes.topics.values()].filter((topic) => topic.waitsUntilMs > 0 || topic.failures > 0);
    session.report({ name: "relay.rangesFull", ranges, topics: topics.slice(0, 10).map((topic) => topic.name) });
  };

  const pause = async (afterMs: number): Promise<void> => {
    poll = new AbortController();
    // Woken during the read: what it saw may be older than what there is to see.
    if (!isWoken && !session.ended.aborted) await wait(clock, afterMs, poll.signal);
    isWoken = false;
  };

  return {
    get isFull() {
      return isFull;
    },
    get isCaughtUp() {
      return isCaughtUp;
    },
    wake() {
      isWoken = true;
      poll.abort();
    },
    proved(dead) {
      if (dead.length === 0) return;
      // An answer repeats what the one before it proved, until a read has confirmed it.
      if (provedDead.at(-1)?.afterRead === sent) provedDead.pop();
      provedDead.push({ ranges: dead, afterRead: sent });
    },
    async run() {
      const rowsMost = rowsMostOf(settings);
      // Some reads of one topic must find room in its half: what does not is read a second time.
      const rowsOfMany = Math.min(rowsOfBacklog, Math.floor(settings.loadedMax / 5));
      let rowsMax = Math.min(rowsMost, rowsAtLeast);
      while (!session.ended.aborted && !session.isDraining) {
        if (!hasRoom()) {
          await pause(settings.pollMinMs);
          continue;
        }
        noteFull();
        const held = holdingBack.isHeld(rowsMax);
        const isHeld = typeof held === "boolean" ? held : await held;
        if (session.ended.aborted) return;
        const { holes, lastId } = cursor;
        if (isHeld && holes.length === 0) {
          await pause(heldPauseMs);
          continue;
        }
        // Alone it goes slowly, in id order: what is new would only wait, and with the next death be one more that has to go alone.
        const isStoredOnly = session.isSolo && progress.isStoredLeft;
        rowsMax = Math.min(rowsMost, Math.max(rowsMax, Math.floor(holes.length / 2)));
        session.report({ name: "relay.batchReading" });
        sent += 1;
        const readNumber = sent;
        const startedMs = clock.monotonicMs();
        const batch = await ledger.read(connections.read, {
          lastId,
          holes,
          rowsMax,
          areHolesOnly: isFull || isStoredOnly || isHeld,
          deadlineMs: settings.statementDeadlineMs,
        });
        if (session.ended.aborted) return;
        const nowMs = clock.monotonicMs();
        if (settings.onEvent !== undefined) {
          const fromHoles = batch.rows.filter((row) => row.id <= lastId).length;
          session.report({ name: "relay.batchRead", rows: batch.rows.length, fromHoles, durationMs: nowMs - startedMs });
        }
        apply(batch, readNumber);
        session.report({
          name: "relay.batchApplied",
          lastId: cursor.lastId,
          holeRanges: cursor.holes.length,
          unconfirmed: cursor.openCount,
        });
        if (isHeld) {
          await pause(heldPauseMs);
          continue;
        }
        const wasFull = batch.rows.length >= rowsMax;
        // A backlog is read in larger steps: each read costs a round trip, whatever it brings.
        rowsMax = wasFull ? Math.max(rowsMax, Math.min(rowsOfMany, rowsMax * 2)) : Math.min(rowsMost, rowsAtLeast);
        // A ledger that has more holes than it can look into at once reads nothing new, full batch or not.
        isCaughtUp = !wasFull && !isFull && !isStoredOnly && !batch.areHolesCut;
        const pauseMs = interval.after(batch.rows.length, wasFull, nowMs);
        if (pauseMs > 0) {
          kick();
          await pause(pauseMs);
        } else {
          // The next read is sent first, in this very turn of the loop: the server works on it while we publish.
          session.after(0, kick);
        }
      }
    },
  };
}

/** Rows that one read may bring at most, so that what comes on top of what may be loaded is in proportion to it. */
export function rowsMostOf({ loadedMax, loadedBytesMax }: LoadedBounds): number {
  const inBytes = Math.floor((2.5 * loadedBytesMax) / payloadBytesInlineMax);
  return Math.max(rowsOfLittle, Math.min(rowsMaxOfAll, inBytes, Math.floor(loadedMax / 2)));
}
