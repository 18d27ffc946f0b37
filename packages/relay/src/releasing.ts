/**
 * Publishes what operators released, and what is held behind nothing any more: once a second the dead letters are asked for lanes
 * with something to do, and each of them comes before anything else of its lane.
 *
 *     find lanes ─▶ lane busy ─▶ take: held → released, under the fence ─▶ publish in order ─▶ done, one by one, under the fence
 *                        ▲                  (a discard is refused from here on)   └── refused again: dead; what was held stays held
 *                        └── until the lane has no open row: newer messages have joined meanwhile
 *
 * A topic that is stopped (policy `stop`) publishes these and nothing else. It goes on when the table was asked, and answered that none of its rows
 * is dead or released, while no insert of ours was on its way.
 *
 * A crash between publish and done publishes again; the state says released, so the next session finds it.
 */
import { backoffMs } from "@waybill/core";
import type { DeadLetter, ReleasedLane } from "@waybill/dead-letter";
import type { OwnedTx } from "@waybill/sql";
import type { Bringing } from "./bringing.ts";
import type { Calling } from "./calling.ts";
import type { GivingUp } from "./giving-up.ts";
import { keyPolicyOf } from "./key-policy.ts";
import type { Lane } from "./lanes.ts";
import { laneOutcome, type Verdict } from "./outcomes.ts";
import { type Headers, headerParser, outgoingDeadLetter, unreadableReason } from "./outgoing.ts";
import type { Progress } from "./progress.ts";
import type { Session } from "./session.ts";
import { soloDeathsMax } from "./solo.ts";
import { notSent, publishApart } from "./taking-apart.ts";
import type { Waiting } from "./waiting.ts";

const lookMs = 1_000;
const lanesMax = 100;
const pagesMax = 10;
const rowsAtOnceMax = 100;
const finishAgainMs = 100;

export interface Releasing {
  /** Looks for released lanes every second, until the session ends. */
  run(): Promise<void>;
  /** Publishes released rows of a busy lane, as far as it gets. */
  publishReleased(lane: Lane): Promise<void>;
  /** One look; the lanes that have something to do are listed as ready. */
  look(): Promise<void>;
}

/** How a call left its lane: it may have more to publish at once, it is to be tried again, or there is nothing left to do. */
type Rest = "more" | "waits" | "nothing";

/** What became of a released message that is neither done nor refused. */
interface Tried {
  /** Tries for its own sake. */
  readonly times: number;
  readonly mayBeStored: boolean;
}

const untried: Tried = { times: 0, mayBeStored: false };

/** What the dead letters ask of publishing: how to take a rejection. */
export interface RejectionJudge {
  judgeRejection(topic: Lane["topic"], reason: string): string | null;
  /** A message of the topic was confirmed. */
  noteSuccess(topic: Lane["topic"]): void;
}

export function createReleasing(
  session: Session,
  progress: Progress,
  calling: Calling,
  waiting: Waiting,
  givingUp: GivingUp,
  bringing: Bringing,
  judge: RejectionJudge,
  /** Publishing alone: writes down what goes next, durably. False: the session has been ended. */
  announce: (messageId: string, sequence: bigint) => Promise<boolean>,
  kick: () => void,
): Releasing {
  const { connections, deadLetters, reader, lanes, settings } = session;
  const parseHeaders = headerParser();
  /** Which message a keyless lane stands for. */
  const singles = new Map<bigint, Lane>();
  const names = new WeakMap<Lane, ReleasedLane>();
  /** Of released messages on their way; of one that is done or refused nothing is kept. */
  const tried = new Map<bigint, Tried>();
  /** Lanes that the first looks found and that nothing has become of yet: see `Progress.releasedWereTried`. */
  const awaited = new Set<Lane>();
  let areAllFound = false;
  /** Where the next look goes on; null: at the beginning. */
  let lookedUpTo: ReleasedLane | null = null;

  const noteTried = (lane: Lane): void => {
    awaited.delete(lane);
    if (areAllFound && awaited.size === 0) progress.releasedWereTried();
  };

  const laneOf = (found: ReleasedLane): Lane => {
    const known = found.key === null ? singles.get(found.sequence) : undefined;
    const lane = known ?? lanes.lane(found.topic, found.key);
    if (found.key === null) singles.set(found.sequence, lane);
    names.set(lane, found);
    return lane;
  };

  /** Lists lanes that were found; answers how many are new. */
  const list = (found: readonly ReleasedLane[]): number => {
    let ready = 0;
    for (const one of found) {
      const lane = laneOf(one);
      if (lane.hasReleased || lane.waitsUntilMs > 0) continue;
      lane.hasReleased = true;
      lane.isOpen = lane.key !== null;
      if (!areAllFound) awaited.add(lane);
      lanes.settle(lane);
      ready += 1;
    }
    return ready;
  };

  /** True if nothing of ours was inserted since `inserts` was read, nor under way then or now. */
  const isStillTrue = (inserts: number, wasInserting: boolean): boolean =>
    !wasInserting && !givingUp.isInserting && inserts === givingUp.inserts;

  /** Lets topics go on that were stopped and have nothing undecided any more. */
  const resumeDecided = async (inserts: number, wasInserting: boolean): Promise<void> => {
    const stopped = [...lanes.topics.values()].filter((topic) => topic.isStopped);
    if (stopped.length === 0) return;
    const undecided = new Set(await deadLetters.undecidedTopics(connections.upkeep, reader));
    if (session.ended.aborted || !isStillTrue(inserts, wasInserting)) return;
    for (const topic of stopped) if (!undecided.has(topic.name)) waiting.resumeTopic(topic);
  };

  const look = async (): Promise<void> => {
    const { inserts } = givingUp;
    const wasInserting = givingUp.isInserting;
    session.report({ name: "relay.releasedReading" });
    const summary = await deadLetters.summary(connections.upkeep, reader);
    if (session.ended.aborted) return;
    // Only an answer to a question that no insert of ours overlapped tells that nothing is open now.
    if (!summary.hasOpenRows && isStillTrue(inserts, wasInserting)) givingUp.nothingIsOpen();
    await resumeDecided(inserts, wasInserting);
    if (session.ended.aborted) return;
    let ready = 0;
    // Page by page, so that lanes that get nowhere hide no others; where there are very many, the next look goes on.
    for (let pages = summary.hasOpenRows ? pagesMax : 0; pages > 0; pages -= 1) {
      const found = await deadLetters.findReleased(connections.upkeep, reader, lanesMax, lookedUpTo);
      if (session.ended.aborted) return;
      ready += list(found);
      const isLast = found.length < lanesMax;
      lookedUpTo = isLast ? null : (found.at(-1) ?? null);
      if (isLast) areAllFound = true;
      if (isLast) break;
    }
    if (!summary.hasOpenRows) areAllFound = true;
    for (const lane of awaited) if (lane.topic.waitsUntilMs > 0) awaited.delete(lane);
    if (areAllFound && awaited.size === 0) progress.releasedWereTried();
    if (ready > 0) session.report({ name: "relay.releasedFound", messages: ready });
  };

  /** Takes rows; null: the session has been ended. */
  const take = async (name: ReleasedLane): Promise<readonly DeadLetter[] | null> => {
    let taken: readonly DeadLetter[] = [];
    const isFenced = await givingUp.fenced("take released", async (tx) => {
      taken = await deadLetters.takeReleased(tx, reader, name, session.isSolo ? 1 : rowsAtOnceMax);
    });
    return isFenced ? taken : null;
  };

  /** Until it is written or the session is over: a lock that somebody holds for a while must not have published rows published again. */
  const finish = async (letters: readonly DeadLetter[]): Promise<boolean> => {
    const work = async (tx: OwnedTx): Promise<void> => {
      for (const letter of letters) await deadLetters.finish(tx, reader, letter);
    };
    while (!(await givingUp.fenced("finish released", work))) if (!(await session.pause(finishAgainMs))) return false;
    return true;
  };

  const refuse = async (lane: Lane, letter: DeadLetter, reason: string, { times, mayBeStored }: Tried): Promise<void> => {
    session.report({ name: "relay.deadLettering", messageId: letter.messageId, sequence: letter.sequence, reason });
    tried.delete(letter.sequence);
    if (keyPolicyOf(settings, lane.topic.name) === "stop") waiting.stopTopic(lane.topic);
    const isFenced = await givingUp.fenced("refuse released", async (tx) => {
      await deadLetters.refuse(tx, reader, letter, { reason, attempts: times, mayBeStored });
    });
    if (!isFenced) return;
    lane.hasHeld = true;
    session.report({ name: "relay.deadLettered", messageId: letter.messageId, sequence: letter.sequence, reason });
  };

  /** Deals with the row a lane stopped at. */
  const settle = async (lane: Lane, letter: DeadLetter, verdict: Verdict): Promise<Rest> => {
    if (verdict.kind === "failed" && verdict.reason === notSent) return "waits";
    progress.survived(letter.sequence);
    const before = tried.get(letter.sequence) ?? untried;
    if (verdict.kind === "rejected") {
      const reason = judge.judgeRejection(lane.topic, verdict.reason);
      if (reason === null) waiting.topicFailed(lane.topic, 0);
      else await refuse(lane, letter, reason, { ...before, times: before.times + 1 });
      return reason === null ? "waits" : "nothing";
    }
    if (verdict.kind !== "failed") return "more";
    const isUnknown = verdict.scope === "message" && verdict.mayBeStored;
    const scope = isUnknown && waiting.isTopicsFault(lane.topic, before.times === 0) ? "topic" : verdict.scope;
    const after = { times: before.times + (scope === "message" ? 1 : 0), mayBeStored: before.mayBeStored || verdict.mayBeStored };
    tried.set(letter.sequence, after);
    const afterMs = waitAfter(lane, { ...verdict, scope }, after.times);
    if (afterMs === null) {
      await refuse(lane, letter, `attemptsExhausted:${verdict.reason}`, after);
      return "nothing";
    }
    session.report({
      name: "relay.retrying",
      messageId: letter.messageId,
      topic: lane.topic.name,
      attempt: after.times,
      afterMs,
      scope,
      reason: verdict.reason,
      mayBeStored: after.mayBeStored,
    });
    return "waits";
  };

  /** Lets wait what failed, and answers how long; null: the message's attempts are used up. */
  const waitAfter = (lane: Lane, { scope, afterMs }: Extract<Verdict, { kind: "failed" }>, times: number): number | null => {
    if (scope === "topic") return waiting.topicFailed(lane.topic, afterMs);
    if (scope === "transport") return waiting.transportFailed(afterMs);
    if (times >= settings.attemptsMax) return null;
    const waitMs = Math.max(afterMs, backoffMs(settings.messageBackoff, times, settings.random));
    waiting.laneWaits(lane, waitMs);
    return waitMs;
  };

  /** Why a released message cannot be published, without a try; null: it can. */
  const hopelessReason = (letter: DeadLetter, headers: Headers | null): string | null =>
    (progress.deaths.get(letter.sequence) ?? 0) >= soloDeathsMax ? "killsTheRelay" : unreadableReason(letter, headers);

  /** One take and one call. */
  const publishSome = async (lane: Lane, name: ReleasedLane): Promise<Rest> => {
    const letters = await take(name);
    const first = letters?.[0];
    if (letters === null || first === undefined) return "nothing";
    const headers = letters.map((letter) => parseHeaders(letter.headers));
    const reasons = letters.map((letter, place) => hopelessReason(letter, headers[place] ?? null));
    if (typeof reasons[0] === "string") {
      progress.survived(first.sequence);
      await refuse(lane, first, reasons[0], { times: 0, mayBeStored: reasons[0] === "killsTheRelay" });
      return "nothing";
    }
    const hopelessAt = reasons.findIndex((reason) => reason !== null);
    const sendable = hopelessAt === -1 ? letters : letters.slice(0, hopelessAt);
    const messages = sendable.map((letter, place) => outgoingDeadLetter(letter, headers[place] ?? new Map()));
    if (session.isSolo && !(await announce(first.messageId, first.sequence))) return "nothing";
    const mayGoOn = (): boolean => !session.isDraining && lane.topic.waitsUntilMs === 0;
    const outcomes = await publishApart(calling.publish, messages, mayGoOn, (count) =>
      session.report({ name: "relay.takenApart", topic: lane.topic.name, messages: count }),
    );
    if (outcomes === null || session.ended.aborted) return "nothing";
    const { confirmed, verdict } = laneOutcome(outcomes, 0, messages.length);
    const done = sendable.slice(0, confirmed);
    for (const letter of done) {
      progress.survived(letter.sequence);
      tried.delete(letter.sequence);
      session.report({ name: "relay.releasedPublished", messageId: letter.messageId, sequence: letter.sequence });
    }
    if (done.length > 0) {
      progress.confirmed();
      waiting.transportSucceeded();
      judge.noteSuccess(lane.topic);
      if (!(await finish(done))) return "nothing";
      for (const letter of done) session.report({ name: "relay.releasedFinished", messageId: letter.messageId, sequence: letter.sequence });
    }
    const stopped = sendable[confirmed];
    if (verdict.kind === "done" || stopped === undefined) return lane.key === null ? "nothing" : "more";
    return settle(lane, stopped, verdict);
  };

  /** Whether the lane is still open; asked while it is busy, so that nothing of ours can open it meanwhile. */
  const refresh = async (lane: Lane): Promise<void> => {
    if (lane.key === null || session.ended.aborted) return;
    const { openLanes } = await deadLetters.lookUp(connections.upkeep, reader, [], [{ topic: lane.topic.name, key: lane.key }]);
    lane.isOpen = openLanes.length > 0;
    lane.hasHeld = openLanes[0]?.hasHeld ?? false;
    await bringing.refresh([lane]);
  };

  return {
    look,
    async publishReleased(lane) {
      const name = names.get(lane);
      if (name === undefined) return;
      let rest: Rest;
      do rest = await publishSome(lane, name);
      while (rest === "more" && lane.topic.waitsUntilMs === 0 && !session.isSolo && !session.isDraining);
      // What is left stays listed, and comes before anything else of its lane when its wait is over.
      lane.hasReleased = rest !== "nothing";
      if (rest !== "more") noteTried(lane);
      await refresh(lane);
      if (lane.key === null && !lane.hasReleased) singles.delete(name.sequence);
    },
    async run() {
      do {
        if (session.isDraining || session.isSolo) continue;
        await look();
        kick();
      } while (await session.pause(lookMs));
    },
  };
}
