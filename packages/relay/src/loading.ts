/**
 * Brings the bytes of messages whose turn has come and that are not in memory: parked ones that are due, and large payloads that
 * were left in the database. Read by id, in id order; their rows are known to be visible, so this needs no part in the cursor's read.
 */
import type { LedgerRow } from "@waybill/outbox";
import type { Entry, Lane } from "./lanes.ts";
import type { Progress } from "./progress.ts";
import type { Session } from "./session.ts";

const idsMax = 500;
const bytesMax = 8_388_608;
const perLaneMax = 100;

export interface Loading {
  /** Loads the head of a busy lane; the lane is freed when its bytes are there. */
  load(lane: Lane): void;
}

export function createLoading(session: Session, progress: Progress, kick: () => void): Loading {
  const { ledger, connections, lanes, cursor, settings } = session;
  const waiting = new Set<Lane>();
  let isRunning = false;

  /** The next entries to load, within the bounds; their lanes leave the list. */
  const next = (): { readonly lanes: Lane[]; readonly entries: Entry[] } => {
    const taken: Lane[] = [];
    const entries: Entry[] = [];
    let bytes = 0;
    for (const lane of waiting) {
      if (entries.length >= idsMax || bytes >= bytesMax) break;
      const most = lane.topic.failures > 0 ? 1 : perLaneMax;
      for (const entry of lane.entries.slice(0, most)) {
        if (entry.row !== null || entries.length >= idsMax || bytes >= bytesMax) break;
        entries.push(entry);
        bytes += entry.bytes;
      }
      waiting.delete(lane);
      taken.push(lane);
    }
    return { lanes: taken, entries };
  };

  const fill = (entries: readonly Entry[], rows: readonly LedgerRow[]): void => {
    const byId = new Map(rows.map((row) => [row.id, row]));
    for (const entry of entries) {
      const row = byId.get(entry.id);
      if (row !== undefined) {
        lanes.load(entry, row);
        continue;
      }
      // Its row was removed behind our back: there is nothing left to publish, and nothing will ever come.
      session.report({ name: "relay.rowMissing", messageId: entry.messageId, sequence: entry.id });
      progress.settled(entry);
      cursor.finish(entry);
      lanes.leave(entry);
      session.isDirty = true;
    }
  };

  const run = async (): Promise<void> => {
    while (waiting.size > 0 && !session.ended.aborted) {
      const batch = next();
      const ids = batch.entries.map((entry) => entry.id).sort((left, right) => (left < right ? -1 : 1));
      session.report({ name: "relay.parkedReading", messages: ids.length });
      const rows = await ledger.readIds(connections.lookUp, ids, { deadlineMs: settings.statementDeadlineMs });
      if (session.ended.aborted) return;
      fill(batch.entries, rows);
      for (const lane of batch.lanes) {
        lane.isBusy = false;
        lanes.settle(lane);
      }
      kick();
    }
  };

  return {
    load(lane) {
      waiting.add(lane);
      if (isRunning) return;
      isRunning = true;
      run().then(() => {
        isRunning = false;
      }, session.fail);
    },
  };
}
