/**
 * What a relay does once a minute beside publishing, on a connection of its own: space ahead of the writers, history behind the readers, and
 * decided dead letters that are old enough to go. None of it may stop the relay; who ought to know is told.
 */
import { isWaybillError, wait } from "@waybill/core";
import { keepPartitions, removeHistory } from "@waybill/outbox";
import type { Session } from "./session.ts";

const upkeepMs = 60_000;
const removedAtOnceMax = 1_000;
/** Between two steps of removing history: a tenth of the time at most is spent on it. */
const stepPauseMs = 20;

export async function keepUp(session: Session): Promise<void> {
  const { settings, space, deadLetters, reader, connections } = session;
  const tellPartitions = tellOnce((reason) => session.report({ name: "relay.partitionsNotKept", reason }));
  const tellHistory = tellOnce((reason) => session.report({ name: "relay.historyNotRemoved", reason }));
  do {
    if (session.isDraining) return;
    if (space.dialect === "postgres") tellPartitions(await hindranceOf(session, () => makePartitions(session)));
    else tellHistory(await hindranceOf(session, () => removeOldHistory(session)));
    await deadLetters.removeDecided(connections.upkeep, reader, settings.decidedRetentionMs, removedAtOnceMax);
  } while (await wait(session.clock, upkeepMs, session.ended));
}

/** What kept partitions from being made, or null. Rows go to the default partition meanwhile. */
async function makePartitions({ connections, space, settings, clock }: Session): Promise<string | null> {
  const kept = await keepPartitions(connections.upkeep, { space, stream: settings.stream, clock });
  return kept.kind === "kept" ? null : kept.kind;
}

/**
 * Removes what every subscription of the stream has passed and what is old enough, step by step. The mark is asked for before each step: all of
 * them may take hours, and a subscription that was made or set back meanwhile keeps what is left.
 */
async function removeOldHistory(session: Session): Promise<string | null> {
  const { connections, row, space, settings, clock } = session;
  let lowWaterMark = await row.lowWaterMark(connections.upkeep);
  session.report({ name: "relay.historyRemoving", lowWaterMark });
  let rows = 0;
  let ids = 0;
  for (;;) {
    const startedMs = clock.monotonicMs();
    const step = await removeHistory(connections.upkeep, {
      space,
      stream: settings.stream,
      lowWaterMark,
      retentionMs: settings.retentionMs,
    });
    if (step.kind === "busy") return "busy";
    rows += step.rows;
    ids += step.claims;
    const pauseMs = Math.max(stepPauseMs, 9 * (clock.monotonicMs() - startedMs));
    if (!step.isMore || session.isDraining || !(await wait(clock, pauseMs, session.ended))) break;
    lowWaterMark = await row.lowWaterMark(connections.upkeep);
  }
  session.report({ name: "relay.historyRemoved", rows, ids });
  return null;
}

/** What hindered `work`, or null. A server that refuses is a hindrance; a connection that is lost ends the session like any other. */
async function hindranceOf({ connections }: Session, work: () => Promise<string | null>): Promise<string | null> {
  try {
    return await work();
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_DATABASE") || connections.upkeep.lost.aborted) throw error;
    const { errno, sqlState } = error.facts;
    if (errno === null && sqlState === null) throw error;
    return `refused:${errno ?? sqlState}`;
  }
}

/** Tells of a hindrance when it comes, and of another when it changes. */
function tellOnce(tell: (reason: string) => void): (reason: string | null) => void {
  let told: string | null = null;
  return (reason) => {
    if (reason !== null && reason !== told) tell(reason);
    told = reason;
  };
}
