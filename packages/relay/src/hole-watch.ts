/** Has holes proved dead, ten times a second while there are any: see the ledger's `HoleProof`. */
import { wait } from "@waybill/core";
import type { Reading } from "./reading.ts";
import type { Session } from "./session.ts";

const tickMs = 100;

export async function watchHoles(session: Session, reading: Reading): Promise<void> {
  const { ledger, connections, cursor, clock, settings } = session;
  const proof = ledger.beginHoleProof();
  while (await wait(clock, tickMs, session.ended)) {
    if (cursor.holes.length === 0 || session.isDraining) continue;
    session.report({ name: "relay.holesLooking", ranges: cursor.holes.length });
    const dead = await proof.look(connections.upkeep, cursor.holes, { deadlineMs: settings.statementDeadlineMs });
    if (session.ended.aborted) return;
    if (dead.length > 0) session.report({ name: "relay.holesProved", ranges: dead.length });
    reading.proved(dead);
  }
}
