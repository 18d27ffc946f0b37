/**
 * Saves the cursor: every 200 ms while it moves, and before a message is published alone. One save at a time, on the connection that
 * also renews, so that saves reach the database in the order of their snapshots.
 */
import type { Progress } from "./progress.ts";
import type { Session } from "./session.ts";

export interface Saving {
  /** Saves while the cursor moves, until the session ends. */
  run(): Promise<void>;
  /** Saves now, after any save that is under way. False: the lease is lost, or the database failed; the session has been ended. */
  save(options: { readonly isDurable: boolean }): Promise<boolean>;
}

export function createSaving(session: Session, progress: Progress): Saving {
  const { settings, row, connections, fence, serverIdentity, cursor, lease, clock } = session;
  let queue: Promise<unknown> = Promise.resolve();
  let lastDurationMs = 0;
  let savedProgress = false;

  const saveOnce = async (isDurable: boolean): Promise<boolean> => {
    if (session.ended.aborted || !lease.isTrusted()) return false;
    const sentAtMs = clock.monotonicMs();
    const snapshot = cursor.snapshot();
    const { hasProgressed } = progress;
    session.isDirty = false;
    session.report({ name: "relay.cursorSaving", lastId: snapshot.lastId, ranges: snapshot.ranges.length });
    try {
      const isOurs = await row.save(connections.save, fence, settings.leaseMs, serverIdentity, {
        ...snapshot,
        progressed: hasProgressed,
        soloId: progress.soloId,
        soloDeaths: progress.deaths,
        isDurable,
      });
      if (!isOurs) {
        lease.lose();
        return false;
      }
    } catch (error) {
      session.fail(error);
      return false;
    }
    lease.extendFrom(sentAtMs);
    savedProgress = hasProgressed;
    lastDurationMs = clock.monotonicMs() - sentAtMs;
    session.report({ name: "relay.cursorSaved", lastId: snapshot.lastId, ranges: snapshot.ranges.length, durationMs: lastDurationMs });
    return true;
  };

  const save = ({ isDurable }: { readonly isDurable: boolean }): Promise<boolean> => {
    const saved = queue.then(() => saveOnce(isDurable));
    queue = saved;
    return saved;
  };

  return {
    save,
    async run() {
      // A save that takes long must not become all the database does.
      while (await session.pause(Math.max(settings.saveMs, 10 * lastDurationMs))) {
        if (session.isDirty || progress.hasProgressed !== savedProgress) await save({ isDurable: false });
      }
    },
  };
}
