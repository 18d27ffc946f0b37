/**
 * Publishes what operators released, and what is held behind nothing any more: once a second the dead letters are asked for lanes
 * with something to do, and each of them comes before anything else of its lane.
 *
 *     find lanes ─▶ lane busy ─▶ take: held → released, under the fence ─▶ publish in order ─▶ done, one by one, under the fence
 *                        ▲                  (a discard is refused from here on)   └── refused again: dead; what was held stays held
 *                        └── until the lane has no open row: newer messages have joined meanwhile
 *
 * A crash between publish and done publishes again; the state says released, so the next session finds it.
 */
import { backoffMs, wait } from "@waybill/core";
import type { DeadLetter, ReleasedLane } from "@waybill/dead-letter";
import type { Calling } from "./calling.ts";
import type { GivingUp } from "./giving-up.ts";
import type { Lane } from "./lanes.ts";
import { laneOutcome, type Verdict } from "./outcomes.ts";
import { headerParser, outgoingDeadLetter } from "./outgoing.ts";
import type { Progress } from "./progress.ts";
import type { Session } from "./session.ts";
import { soloDeathsMax } from "./solo.ts";
import type { Waiting } from "./waiting.ts";

const lookMs = 1_000;
const lanesMax = 100;
const rowsAtOnceMax = 100;

export interface Releasing {
  /** Looks for released lanes every second, until the session ends. */
  run(): Promise<void>;
  /** Publishes released rows of a busy lane, as far as it gets. */
  publishReleased(lane: Lane): Promise<void>;
  /** One look; answers the lanes that have something to do. */
  look(): Promise<readonly Lane[]>;
}

/** What the dead letters ask of publishing: how to take a rejection. */
export interface RejectionJudge {
  judgeRejection(topic: Lane["topic"], reason: string): string | null;
}

export function createReleasing(
  session: Session,
  progress: Progress,
  calling: Calling,
  waiting: Waiting,
  givingUp: GivingUp,
  judge: RejectionJudge,
  /** Publishing alone: writes down what goes next, durably. False: the session has been ended. */
  announce: (messageId: string, sequence: bigint) => Promise<boolean>,
  kick: () => void,
): Releasing {
  const { connections, deadLetters, reader, lanes, clock, settings } = session;
  const parseHeaders = headerParser();
  /** Which message a keyless lane stands for. */
  const singles = new Map<bigint, Lane>();
  const names = new WeakMap<Lane, ReleasedLane>();
  /** Tries of released messages for their own sake; of a message that is done or refused nothing is kept. */
  const attempts = new Map<bigint, number>();

  const laneOf = (found: ReleasedLane): Lane => {
    const known = found.key === null ? singles.get(found.sequence) : undefined;
    const lane = known ?? lanes.lane(found.topic, found.key);
    if (found.key === null) singles.set(found.sequence, lane);
    names.set(lane, found);
    return lane;
  };

  const look = async (): Promise<readonly Lane[]> => {
    const { inserts } = givingUp;
    const wasInserting = givingUp.isInserting;
    session.report({ name: "relay.releasedReading" });
    const summary = await deadLetters.summary(connections.upkeep, reader);
    if (session.ended.aborted) return [];
    if (!summary.hasOpenRows) {
      // Only an answer to a question that no insert of ours overlapped tells that nothing is open now.
      if (!wasInserting && !givingUp.isInserting && inserts === givingUp.inserts) givingUp.nothingIsOpen();
      return [];
    }
    const found = await deadLetters.findReleased(connections.upkeep, reader, lanesMax);
    if (session.ended.aborted) return [];
    const ready: Lane[] = [];
    for (const one of found) {
      const lane = laneOf(one);
      if (lane.hasReleased || lane.waitsUntilMs > 0) continue;
      lane.hasReleased = true;
      lane.isOpen = lane.key !== null;
      lanes.settle(lane);
      ready.push(lane);
    }
    if (ready.length > 0) session.report({ name: "relay.releasedFound", messages: ready.length });
    return ready;
  };

  /** Takes rows; null: the session has been ended. */
  const take = async (name: ReleasedLane): Promise<readonly DeadLetter[] | null> => {
    let taken: readonly DeadLetter[] = [];
    const isFenced = await givingUp.fenced("take released", async (tx) => {
      taken = await deadLetters.takeReleased(tx, reader, name, session.isSolo ? 1 : rowsAtOnceMax);
    });
    return isFenced ? taken : null;
  };

  const finish = (letters: readonly DeadLetter[]): Promise<boolean> =>
    givingUp.fenced("finish released", async (tx) => {
      for (const letter of letters) await deadLetters.finish(tx, reader, letter);
    });

  const refuse = async (lane: Lane, letter: DeadLetter, reason: string, mayBeStored: boolean): Promise<void> => {
    session.report({ name: "relay.deadLettering", messageId: letter.messageId, sequence: letter.sequence, reason });
    const tries = letter.attempts + (attempts.get(letter.sequence) ?? 0) + 1;
    attempts.delete(letter.sequence);
    const isFenced = await givingUp.fenced("refuse released", async (tx) => {
      await deadLetters.refuse(tx, reader, letter, { reason, attempts: tries, mayBeStored });
    });
    if (!isFenced) return;
    lane.hasHeld = true;
    session.report({ name: "relay.deadLettered", messageId: letter.messageId, sequence: letter.sequence, reason });
  };

  /** Deals with the row a lane stopped at. */
  const settle = async (lane: Lane, letter: DeadLetter, verdict: Verdict): Promise<void> => {
    progress.survived(letter.sequence);
    if (verdict.kind === "rejected") {
      const reason = judge.judgeRejection(lane.topic, verdict.reason);
      if (reason !== null) return refuse(lane, letter, reason, false);
      waiting.topicFailed(lane.topic, 0);
    }
    if (verdict.kind !== "failed") return;
    if (verdict.scope === "topic") waiting.topicFailed(lane.topic, verdict.afterMs);
    if (verdict.scope === "transport") waiting.transportFailed(verdict.afterMs);
    if (verdict.scope === "message") {
      const tries = (attempts.get(letter.sequence) ?? 0) + 1;
      if (tries >= settings.attemptsMax)
        return refuse(lane, letter, `attemptsExhausted:${verdict.reason}`, verdict.mayBeStored || letter.mayBeStored);
      attempts.set(letter.sequence, tries);
      waiting.laneWaits(lane, Math.max(verdict.afterMs, backoffMs(settings.messageBackoff, tries, settings.random)));
    }
  };

  /** One take and one call. True: the lane may have more to publish. */
  const publishSome = async (lane: Lane, name: ReleasedLane): Promise<boolean> => {
    const letters = await take(name);
    if (letters === null || letters.length === 0) return false;
    const [first] = letters as readonly [DeadLetter, ...DeadLetter[]];
    const headers = letters.map((letter) => parseHeaders(letter.headers));
    if (headers[0] === null) {
      await refuse(lane, first, "malformedHeaders", false);
      return false;
    }
    if ((progress.deaths.get(first.sequence) ?? 0) >= soloDeathsMax) {
      progress.survived(first.sequence);
      await refuse(lane, first, "killsTheRelay", true);
      return false;
    }
    const unreadableAt = headers.indexOf(null);
    const sendable = unreadableAt === -1 ? letters : letters.slice(0, unreadableAt);
    const messages = sendable.map((letter, place) => outgoingDeadLetter(letter, headers[place] ?? new Map()));
    if (session.isSolo && !(await announce(first.messageId, first.sequence))) return false;
    const outcomes = await calling.publish(messages);
    if (outcomes === null || session.ended.aborted) return false;
    const { confirmed, verdict } = laneOutcome(outcomes, 0, messages.length);
    const done = sendable.slice(0, confirmed);
    for (const letter of done) {
      progress.survived(letter.sequence);
      attempts.delete(letter.sequence);
      session.report({ name: "relay.releasedPublished", messageId: letter.messageId, sequence: letter.sequence });
    }
    if (done.length > 0) {
      progress.confirmed();
      waiting.transportSucceeded();
      if (!(await finish(done))) return false;
      for (const letter of done) session.report({ name: "relay.releasedFinished", messageId: letter.messageId, sequence: letter.sequence });
    }
    const stopped = sendable[confirmed];
    if (verdict.kind === "done" || stopped === undefined) return lane.key !== null;
    await settle(lane, stopped, verdict);
    return false;
  };

  /** Whether the lane is still open; asked while it is busy, so that nothing of ours can open it meanwhile. */
  const refresh = async (lane: Lane): Promise<void> => {
    if (lane.key === null || session.ended.aborted) return;
    const { openLanes } = await deadLetters.lookUp(connections.upkeep, reader, [], [{ topic: lane.topic.name, key: lane.key }]);
    lane.isOpen = openLanes.length > 0;
    lane.hasHeld = openLanes[0]?.hasHeld ?? false;
  };

  return {
    look,
    async publishReleased(lane) {
      const name = names.get(lane);
      if (name === undefined) return;
      while (await publishSome(lane, name)) if (lane.topic.waitsUntilMs > 0 || session.isSolo || session.isDraining) break;
      lane.hasReleased = false;
      await refresh(lane);
      if (lane.key === null) singles.delete(name.sequence);
    },
    async run() {
      do {
        if (session.isDraining || session.isSolo) continue;
        await look();
        progress.releasedWereTried();
        kick();
      } while (await wait(clock, lookMs, session.ended));
    },
  };
}
