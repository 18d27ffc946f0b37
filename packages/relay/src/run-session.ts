/**
 * Runs a session: builds its parts, starts its loops, ends them together.
 *
 *     acquired ─▶ written down what was found ─▶ loops: read · publish · save · prove holes · release · upkeep · delayed messages
 *                                                  │
 *        stop asked ─▶ nothing new, 500 ms for what is on the wire ─▶ save ─▶ hand the lease over
 *        R1 ─▶ loops end, calls on the wire are awaited (a key is never in two calls) ─▶ the caller begins anew
 */
import { type Clock, type Timer, withDeadline } from "@waybill/core";
import type { LedgerFacts } from "@waybill/outbox";
import { holdLease } from "@waybill/sql";
import { createBringing, spilledTopics } from "./bringing.ts";
import { createCalling } from "./calling.ts";
import { createCursor } from "./cursor.ts";
import { createDelayedMoving } from "./delayed.ts";
import { createGivingUp } from "./giving-up.ts";
import { listenForHints } from "./hint-listening.ts";
import { watchHoles } from "./hole-watch.ts";
import { keyPolicyOf } from "./key-policy.ts";
import { createLanes, type Entry } from "./lanes.ts";
import { watchLineage } from "./lineage.ts";
import { createLoading } from "./loading.ts";
import { createProgress } from "./progress.ts";
import { createPublishing } from "./publishing.ts";
import { announce, publishAlone } from "./publishing-alone.ts";
import { createReading } from "./reading.ts";
import { createReleasing, type RejectionJudge } from "./releasing.ts";
import { createSaving } from "./saving.ts";
import type { RelayParts, RelayReport, Session, SessionConnections } from "./session.ts";
import type { SoloStart } from "./solo.ts";
import { createSpilling } from "./spilling.ts";
import type { Acquisition } from "./subscriptions.ts";
import { repeatUnconfirmed } from "./unconfirmed.ts";
import { keepUp } from "./upkeep.ts";
import { createWaiting } from "./waiting.ts";

/** How long the loops of a session that is over may take to notice. */
const loopsMs = 500;

/** What a session began with. */
export interface SessionStart {
  readonly parts: RelayParts;
  readonly connections: SessionConnections;
  readonly acquisition: Acquisition;
  /** Monotonic time just before the acquiring statement was sent. */
  readonly acquiredFromMs: number;
  readonly facts: LedgerFacts;
  readonly owner: string;
  /** Concluded from what the last holder left. */
  readonly solo: SoloStart;
  /** Called when that was written down. */
  readonly onSettled: () => void;
  readonly report: (event: RelayReport) => void;
}

/** `isHeld`: the lease may still be ours; otherwise it was handed over, if the database answered. */
export type SessionEnd = { readonly isHeld: boolean } /** A stop was asked for. */ & (
  | { readonly kind: "drained" }
  /** The database is not the one the cursor was saved in: an operator decides. */
  | { readonly kind: "stopped" }
  /** Rule R1: begin again from the saved cursor. */
  | { readonly kind: "failed"; readonly cause: unknown; readonly wasSolo: boolean }
);

/** A running session, as health looks at it. */
export interface RunningSession {
  readonly session: Session;
  readonly isCaughtUp: boolean;
  readonly isFull: boolean;
  readonly delayedDueMs: number;
  readonly spilledTopics: readonly string[];
  wake(): void;
}

/** Runs until `stop` aborts or the session fails. Never rejects. `onRunning` is called once, when its loops have begun. */
export async function runSession(
  start: SessionStart,
  stop: AbortSignal,
  onRunning: (running: RunningSession) => void,
): Promise<SessionEnd> {
  const { parts, connections, acquisition, owner, facts, report } = start;
  const { settings, row } = parts;
  const { clock } = settings;
  const fence = { epoch: acquisition.epoch, owner };
  const ended = new AbortController();
  let cause: unknown = null;
  let hasFailed = false;

  const fail = (error: unknown): void => {
    if (hasFailed || ended.signal.aborted) return;
    hasFailed = true;
    cause = error;
    ended.abort();
  };

  const lease = holdLease({
    clock,
    leaseMs: settings.leaseMs,
    acquiredFromMs: start.acquiredFromMs,
    renew: async () => {
      const isOurs = await row.renew(connections.save, fence, settings.leaseMs, facts.serverIdentity);
      if (isOurs) report({ name: "relay.leaseRenewed", epoch: fence.epoch });
      return isOurs;
    },
    onLost: (reason, error) => {
      if (reason !== "failed") report({ name: "relay.leaseLost", epoch: fence.epoch, reason });
      fail(reason === "failed" ? error : "leaseLost");
    },
  });
  for (const connection of Object.values(connections))
    connection.lost.addEventListener("abort", () => fail("connectionLost"), { once: true });

  const { solo } = start;
  const session: Session = {
    ...parts,
    connections,
    fence,
    serverIdentity: facts.serverIdentity,
    cursor: createCursor<Entry>(acquisition.cursor),
    lanes: createLanes(),
    lease,
    clock,
    isDirty: false,
    isDraining: false,
    isSolo: solo.isSolo,
    transportWaitsUntilMs: 0,
    transportFailures: 0,
    databaseOffsetMs: facts.nowMs - clock.monotonicMs(),
    ended: ended.signal,
    fail,
    report,
    ...timersUntil(clock, ended.signal),
  };
  const progress = createProgress(solo.deaths, () => {
    session.isDirty = true;
  });

  const prepare = async () => {
    const found = { soloDeaths: solo.deaths, serverIdentity: facts.serverIdentity, ledgerIdentity: facts.ledgerIdentity };
    if (await row.settleAcquisition(connections.save, fence, found)) start.onSettled();
    else lease.lose();
    if (solo.died !== null) report({ name: "relay.soloDeathCounted", sequence: solo.died, deaths: solo.deaths.get(solo.died) ?? 0 });
    const letters = await parts.deadLetters.summary(connections.lookUp, parts.reader);
    const highestCopy = await parts.spill.highestSequence(connections.lookUp);
    const undecided = letters.hasOpenRows ? await parts.deadLetters.undecidedTopics(connections.lookUp, parts.reader) : [];
    return {
      hasOpenRows: letters.hasOpenRows,
      highest: highestOf(letters.highestSequence, highestCopy),
      stopped: undecided.filter((topic) => keyPolicyOf(settings, topic) === "stop"),
      spilled: highestCopy === null ? [] : await spilledTopics(session),
    };
  };

  const loops: Promise<void>[] = [];
  try {
    const found = await prepare();
    const kick = (): void => publishing.pump();
    const saving = createSaving(session, progress);
    const calling = createCalling(session);
    const waiting = createWaiting(session, progress, kick, () => bringing.wake());
    for (const name of found.stopped) waiting.stopTopic(session.lanes.topic(name));
    const givingUp = createGivingUp(session, progress, waiting, found.hasOpenRows);
    const bringing = createBringing(session, progress, givingUp, found.spilled, kick);
    const loading = createLoading(session, progress, waiting, kick);
    const announceNext = (messageId: string, sequence: bigint): Promise<boolean> =>
      announce(session, progress, saving, messageId, sequence);
    const judge: RejectionJudge = {
      judgeRejection: (topic, reason) => publishing.judgeRejection(topic, reason),
      noteSuccess: (topic) => publishing.noteSuccess(topic),
    };
    const releasing = createReleasing(session, progress, calling, waiting, givingUp, bringing, judge, announceNext, kick);
    const publishing = createPublishing(session, progress, calling, waiting, givingUp, bringing, {
      load: loading.load,
      resumeLoading: loading.resume,
      publishReleased: releasing.publishReleased,
    });
    const reading = createReading(session, progress, waiting, givingUp, bringing, found.highest, kick);
    const delayed = createDelayedMoving(session, reading.wake);
    const spilling = createSpilling(session, progress, givingUp, bringing, loading.withdraw, kick);

    const wake = (): void => {
      reading.wake();
      delayed.wake();
    };
    if (settings.hint) loops.push(listenForHints(session, wake));
    loops.push(
      saving.run(),
      reading.run(),
      watchHoles(session, reading),
      releasing.run(),
      bringing.run(),
      spilling.run(),
      keepUp(session),
      delayed.run(),
      repeatUnconfirmed(session, reading.wake),
      watchLineage(session, parts.ledger, facts),
    );
    const alone = { publishing, releasing, givingUp, bringing, saving, load: loading.load };
    if (session.isSolo) loops.push(publishAlone(session, progress, alone));
    for (const loop of loops) loop.catch(fail);
    onRunning({
      session,
      get spilledTopics() {
        return bringing.topics;
      },
      get isCaughtUp() {
        return reading.isCaughtUp;
      },
      get isFull() {
        return reading.isFull;
      },
      get delayedDueMs() {
        return delayed.dueForMs;
      },
      wake,
    });

    await firstOf(stop, ended.signal);
    if (!hasFailed) {
      report({ name: "relay.draining" });
      session.isDraining = true;
      reading.wake();
      await calling.settled(settings.drainMs);
      await bringing.settled(settings.drainMs);
      await saving.save({ isDurable: false });
    } else {
      // A key is never in two calls at once: what is on the wire ends before anything is published again.
      await calling.settled(settings.publishDeadlineMs + 1_000);
    }
  } catch (error) {
    fail(error);
  }
  lease.end();
  ended.abort();
  // An outage of ours alone is somebody else's chance; after any other failure we go on at once under the lease we have.
  const isHeld = hasFailed && cause !== "transportOutage";
  if (!isHeld) await release(start, fence);
  else if (cause === "leaseLost") await parts.row.yield(connections.save, fence).catch(() => undefined); // it runs out by itself
  await Promise.all(Object.values(connections).map((connection) => connection.close()));
  // One that publishes alone may sit in a call that never settles; it does nothing any more when it wakes.
  await withDeadline(clock, loopsMs, Promise.allSettled(loops));
  return hasFailed ? { kind: "failed", cause, wasSolo: session.isSolo, isHeld } : { kind: "drained", isHeld };
}

function highestOf(one: bigint | null, other: bigint | null): bigint | null {
  if (one === null || other === null) return one ?? other;
  return one > other ? one : other;
}

async function release(
  { parts, connections, report }: SessionStart,
  fence: { readonly epoch: bigint; readonly owner: string },
): Promise<void> {
  report({ name: "relay.leaseReleasing", epoch: fence.epoch });
  try {
    if (await parts.row.release(connections.save, fence)) report({ name: "relay.leaseReleased", epoch: fence.epoch });
  } catch {
    // The lease runs out by itself; a standby waits for that instead.
  }
}

/** Timers that `ended` cancels, with one listener for all of them: every lane that waits has one, and every loop. */
function timersUntil(clock: Clock, ended: AbortSignal): Pick<Session, "after" | "pause"> {
  const timers = new Map<Timer, () => void>();
  const cancelAll = (): void => {
    for (const [timer, onEnded] of timers) {
      timer.cancel();
      onEnded();
    }
    timers.clear();
  };
  ended.addEventListener("abort", cancelAll, { once: true });
  const set = (afterMs: number, callback: () => void, onEnded: () => void): void => {
    if (ended.aborted) return onEnded();
    const timer = clock.setTimer(afterMs, () => {
      timers.delete(timer);
      callback();
    });
    timers.set(timer, onEnded);
  };
  return {
    after: (afterMs, callback) => set(afterMs, callback, () => undefined),
    pause: (afterMs) =>
      new Promise((resolve) => {
        set(
          afterMs,
          () => resolve(true),
          () => resolve(false),
        );
      }),
  };
}

function firstOf(...signals: readonly AbortSignal[]): Promise<void> {
  const any = AbortSignal.any([...signals]);
  if (any.aborted) return Promise.resolve();
  return new Promise((resolve) => any.addEventListener("abort", () => resolve(), { once: true }));
}
