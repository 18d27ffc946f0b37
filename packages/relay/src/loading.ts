/**
 * Brings the bytes of messages whose turn has come and that are not in memory: parked ones that are due, spilled ones, and large payloads
 * that were left in the database. Read by id, in id order; their rows are known to be visible, so this needs no part in the cursor's read.
 *
 * What waits may be far more than memory holds, so at most half of what may be loaded is brought at a time, whatever came with its
 * batch: neither a topic that recovers nor a backlog holds the other up. A topic that failed proves itself with one message. What is
 * brought stands at the front of its lane, so it makes room by being published; should nothing be under way, a lane is brought all
 * the same.
 *
 * Many lanes that wait are brought a little of each: what is oldest comes first, its rows lie side by side, and a call is not long rows of
 * one key that a broker confirms one by one. Topics take turns, so that a long backlog of one is not brought before anything of another.
 */
import type { LedgerRow } from "@waybill/outbox";
import type { Entry, Lane, Topic } from "./lanes.ts";
import { headerParser, unreadableReason } from "./outgoing.ts";
import type { Progress } from "./progress.ts";
import type { Session } from "./session.ts";
import type { Waiting } from "./waiting.ts";

const idsMax = 500;
const bytesMax = 8_388_608;
const perLaneMax = 100;

export interface Loading {
  /** Loads the head of a busy lane when there is room; the lane is freed when its bytes are there. */
  load(lane: Lane): void;
  /** Goes on with what found no room, or whose topic had to wait. Cheap when there is nothing. */
  resume(): void;
  /** Lets go of the lanes of a topic that are not being loaded yet. */
  withdraw(topic: Topic): void;
}

interface Round {
  readonly lanes: Lane[];
  readonly entries: Entry[];
}

export function createLoading(session: Session, progress: Progress, waiting: Waiting, kick: () => void): Loading {
  const { ledger, connections, lanes, cursor, settings, spill } = session;
  const parseHeaders = headerParser();
  const queues = new Map<Topic, Set<Lane>>();
  let isRunning = false;

  const isOthersTurn = (topic: Topic): boolean =>
    topic.waitsUntilMs > 0 || topic.isStopped || (topic.failures > 0 && (topic.calls > 0 || topic.ready.length > 0));

  const isAnythingUnderWay = (): boolean => {
    for (const topic of lanes.topics.values()) if (topic.calls > 0) return true;
    for (const lane of lanes.all()) if (lane.inHand > 0) return true; // held, given up, or its copies are deleted: that makes room, too
    return false;
  };

  /** The next entries to load, within the bounds; their lanes leave their queues. Publishing alone knows no bounds: it asks for one lane. */
  const next = (): Round => {
    const round: Round = { lanes: [], entries: [] };
    // Nothing would be published now, so nothing that is brought would make room again; the transport's next try comes back here.
    if (session.isDraining || (session.transportWaitsUntilMs > 0 && !session.isSolo)) return round;
    const roomIds = Math.min(idsMax, settings.loadedMax / 2 - lanes.broughtCount);
    const roomBytes = Math.min(bytesMax, settings.loadedBytesMax / 2 - lanes.broughtBytes);
    if ((roomIds <= 0 || roomBytes <= 0) && !session.isSolo && isAnythingUnderWay()) return round;
    let bytes = 0;
    const isFull = (): boolean => round.entries.length > 0 && (round.entries.length >= roomIds || bytes >= roomBytes);
    const served: Topic[] = [];
    for (const [topic, queue] of queues) {
      if (isFull()) break;
      if (isOthersTurn(topic) && !session.isSolo) continue;
      served.push(topic);
      // Of its own lanes: those of a topic that waits or fails stand in line for long, and must not make the steps of the others small.
      const perLane = Math.min(perLaneMax, Math.ceil(idsMax / Math.max(1, queue.size)));
      for (const lane of queue) {
        if (isFull()) break;
        for (const entry of lane.entries.slice(0, topic.failures > 0 ? 1 : perLane)) {
          // What is behind the copies here may have to stay behind more of them.
          if (entry.row !== null || entry.isSpilled !== lane.entries[0]?.isSpilled || isFull()) break;
          round.entries.push(entry);
          bytes += entry.bytes;
        }
        queue.delete(lane);
        round.lanes.push(lane);
        if (topic.failures > 0) break;
      }
    }
    for (const topic of served) {
      const left = queues.get(topic);
      queues.delete(topic);
      if (left !== undefined && left.size > 0) queues.set(topic, left);
    }
    return round;
  };

  /** What was spilled is read for the first time. */
  const fillSpilled = (entry: Entry, row: LedgerRow | undefined): void => {
    if (row === undefined) {
      // Listed before its copy was deleted by us: it is finished.
      progress.settled(entry);
      lanes.leave(entry);
      return;
    }
    const headers = parseHeaders(row.headers);
    entry.unreadable ??= unreadableReason(row, headers);
    lanes.load(entry, row, headers);
  };

  const fill = (entries: readonly Entry[], rows: ReadonlyMap<bigint, LedgerRow>, copies: ReadonlyMap<string, LedgerRow>): void => {
    for (const entry of entries) {
      if (entry.isSpilled) {
        fillSpilled(entry, copies.get(`${entry.id} ${entry.messageId}`));
        continue;
      }
      const row = rows.get(entry.id);
      if (row !== undefined) {
        lanes.load(entry, row, parseHeaders(row.headers));
        continue;
      }
      // Removed behind our back, or another server answered than the one we read: a hole again, and the proof decides.
      session.report({ name: "relay.rowMissing", messageId: entry.messageId, sequence: entry.id });
      progress.settled(entry);
      cursor.giveBack(entry);
      lanes.leave(entry);
      session.isDirty = true;
    }
  };

  const run = async (): Promise<void> => {
    for (let round = next(); round.lanes.length > 0; round = next()) {
      session.report({ name: "relay.parkedReading", messages: round.entries.length });
      // None: what came out of a hole meanwhile stands before what was to be brought.
      const ids = ascending(round.entries.filter((entry) => !entry.isSpilled));
      const rows = ids.length === 0 ? [] : await ledger.readIds(connections.lookUp, ids, { deadlineMs: settings.statementDeadlineMs });
      const copies = await spill.read(connections.lookUp, ascending(round.entries.filter((entry) => entry.isSpilled)));
      if (session.ended.aborted) return;
      fill(round.entries, byId(rows), new Map(copies.map((row) => [`${row.id} ${row.messageId}`, row])));
      for (const lane of round.lanes) {
        lane.isBusy = false;
        waiting.parkIfWaiting(lane);
        lanes.settle(lane);
      }
      kick();
    }
    isRunning = false;
  };

  const resume = (): void => {
    if (isRunning || queues.size === 0 || session.ended.aborted) return;
    isRunning = true;
    run().catch(session.fail);
  };

  return {
    load(lane) {
      const queue = queues.get(lane.topic) ?? new Set();
      queues.set(lane.topic, queue.add(lane));
      resume();
    },
    resume,
    withdraw(topic) {
      const queue = queues.get(topic);
      if (queue === undefined) return;
      queues.delete(topic);
      for (const lane of queue) {
        lane.isBusy = false;
        lanes.settle(lane);
      }
    },
  };
}

function ascending(entries: readonly Entry[]): bigint[] {
  return entries.map(({ id }) => id).sort((left, right) => (left < right ? -1 : 1));
}

function byId(rows: readonly LedgerRow[]): ReadonlyMap<bigint, LedgerRow> {
  return new Map(rows.map((row) => [row.id, row]));
}
