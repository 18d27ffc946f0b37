/**
 * Brings the bytes of messages whose turn has come and that are not in memory: parked ones that are due, and large payloads that
 * were left in the database. Read by id, in id order; their rows are known to be visible, so this needs no part in the cursor's read.
 *
 * What waits may be far more than memory holds, so at most half of what may be loaded is brought at a time, whatever came with its
 * batch: neither a topic that recovers nor a backlog holds the other up. A topic that failed proves itself with one message. What is
 * brought stands at the front of its lane, so it makes room by being published; should nothing be under way, a lane is brought all
 * the same.
 */
import type { LedgerRow } from "@waybill/outbox";
import type { Entry, Lane, Topic } from "./lanes.ts";
import { headerParser } from "./outgoing.ts";
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
}

interface Round {
  readonly lanes: Lane[];
  readonly entries: Entry[];
}

export function createLoading(session: Session, progress: Progress, waiting: Waiting, kick: () => void): Loading {
  const { ledger, connections, lanes, cursor, settings } = session;
  const parseHeaders = headerParser();
  const queues = new Map<Topic, Set<Lane>>();
  let isRunning = false;

  const isOthersTurn = (topic: Topic): boolean =>
    topic.waitsUntilMs > 0 || (topic.failures > 0 && (topic.calls > 0 || topic.ready.length > 0));

  const isAnythingUnderWay = (): boolean => {
    for (const topic of lanes.topics.values()) if (topic.calls > 0) return true;
    return false;
  };

  /** The next entries to load, within the bounds; their lanes leave their queues. Publishing alone knows no bounds: it asks for one lane. */
  const next = (): Round => {
    const round: Round = { lanes: [], entries: [] };
    const roomIds = Math.min(idsMax, settings.loadedMax / 2 - lanes.broughtCount);
    const roomBytes = Math.min(bytesMax, settings.loadedBytesMax / 2 - lanes.broughtBytes);
    if ((roomIds <= 0 || roomBytes <= 0) && !session.isSolo && isAnythingUnderWay()) return round;
    let bytes = 0;
    const isFull = (): boolean => round.entries.length > 0 && (round.entries.length >= roomIds || bytes >= roomBytes);
    for (const [topic, queue] of queues) {
      if (isFull()) break;
      if (isOthersTurn(topic) && !session.isSolo) continue;
      for (const lane of queue) {
        if (isFull()) break;
        for (const entry of lane.entries.slice(0, topic.failures > 0 ? 1 : perLaneMax)) {
          if (entry.row !== null || isFull()) break;
          round.entries.push(entry);
          bytes += entry.bytes;
        }
        queue.delete(lane);
        round.lanes.push(lane);
        if (topic.failures > 0) break;
      }
      if (queue.size === 0) queues.delete(topic);
    }
    return round;
  };

  const fill = (entries: readonly Entry[], rows: readonly LedgerRow[]): void => {
    const byId = new Map(rows.map((row) => [row.id, row]));
    for (const entry of entries) {
      const row = byId.get(entry.id);
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
      const ids = round.entries.map((entry) => entry.id).sort((left, right) => (left < right ? -1 : 1));
      session.report({ name: "relay.parkedReading", messages: ids.length });
      // None: what came out of a hole meanwhile stands before what was to be brought.
      const rows = ids.length === 0 ? [] : await ledger.readIds(connections.lookUp, ids, { deadlineMs: settings.statementDeadlineMs });
      if (session.ended.aborted) return;
      fill(round.entries, rows);
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
  };
}
