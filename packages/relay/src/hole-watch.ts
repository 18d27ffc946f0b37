/** Has holes proved dead, or their ids taken, ten times a second while there are any: see the ledger's `HoleProof`. */
import type { Reading } from "./reading.ts";
import type { Session } from "./session.ts";

const tickMs = 100;

export async function watchHoles(session: Session, reading: Reading): Promise<void> {
  const { ledger, connections, cursor, clock, settings } = session;
  let tooLong = 0n;
  const proof = ledger.beginHoleProof({
    fenceAfterMs: settings.holeFenceAfterMs,
    clock,
    onFence: (fence) => {
      if (fence.kind === "fencing") session.report({ name: "relay.fencing", ids: fence.ids });
      else if (fence.kind === "fenced") session.report({ name: "relay.fenced", ids: fence.ids });
      // Told again only when it has become another number: they stay until somebody looks.
      else if (fence.ids !== tooLong) session.report({ name: "relay.holesTooLong", ranges: fence.ranges, ids: fence.ids });
      if (fence.kind === "tooLong") tooLong = fence.ids;
    },
  });
  while (await session.pause(tickMs)) {
    if (cursor.holes.length === 0 || session.isDraining) continue;
    session.report({ name: "relay.holesLooking", ranges: cursor.holes.length });
    const dead = await proof.look(connections.upkeep, cursor.holes, { deadlineMs: settings.statementDeadlineMs });
    if (session.ended.aborted) return;
    if (dead.length > 0) session.report({ name: "relay.holesProved", ranges: dead.length });
    reading.proved(dead);
  }
}
