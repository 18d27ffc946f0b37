/**
 * When new ids are better read a moment later: a topic that is published fast fills its half of the memory, and what is read beyond finds no
 * room: its bytes are dropped, and read a second time by id. That is a fifth of what a message costs our process, so the read is held back
 * until there is room for it – but only as far as nobody waits for that:
 *
 *     the topic is full ──▶ how fast does it go? ──room within half a second──▶ look ahead ──only this topic──▶ held back, a second at most
 *                             (known after 100 ms)                                  │
 *                                └── slow, waits, failed, stuck ──▶ read, and park  └── another topic ──▶ read, and park, up to there
 *
 * Holes are read all the while. Ahead is looked for topics, step by step as far as reading could go, over and over: what commits late among what was
 * looked at, of another topic, waits for the next time, a second at most.
 */
import type { Lane, Topic } from "./lanes.ts";
import { isGoing } from "./lanes.ts";
import type { Session } from "./session.ts";

export interface HoldingBack {
  /** An entry was taken in. */
  note(lane: Lane): void;
  /** Whether a read of so many rows is to bring holes only. To be asked again shortly. At once while no topic is full. */
  isHeld(rowsMax: number): boolean | Promise<boolean>;
}

/** How long it takes to see how fast a topic goes, and until when what was seen counts. */
const rateMs = 100;
const rateStaleMs = 1_000;
/** A topic that takes longer to make room is slow: what is behind its messages must not wait so long. */
const roomWithinMs = 500;
/** Without a read of new ids, whatever was seen. */
const heldMsMax = 1_000;
const rowsOfLook = 5_000;
/** As far as reading could go. */
const aheadMax = 100_000n;
const lookEveryMs = 10;
const lookAgainMs = 1_000;

export function createHoldingBack(session: Session): HoldingBack {
  const { settings, ledger, connections, cursor, clock } = session;
  /** The topic that was last seen to fill its half, or nearly. */
  let full: Topic | null = null;
  let heldSinceMs: number | null = null;
  /** How fast it goes: what was confirmed of it since. */
  let since: { readonly topic: Topic; readonly atMs: number; readonly confirmed: number } | null = null;
  let perMs: number | null = null;
  /** What was looked at, from when on, and where another topic's messages are. */
  let aheadTo = 0n;
  let aheadFromMs = Number.NEGATIVE_INFINITY;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let otherTo = 0n;

  /** Messages confirmed per millisecond, of late; null: not known yet. */
  const rateOf = (topic: Topic, nowMs: number): number | null => {
    const { confirmedCount: confirmed } = topic;
    if (since === null || since.topic !== topic || nowMs - since.atMs > rateStaleMs) perMs = null;
    else if (nowMs - since.atMs < rateMs) return perMs;
    else perMs = (confirmed - since.confirmed) / (nowMs - since.atMs);
    since = { topic, atMs: nowMs, confirmed };
    return perMs;
  };

  const excessOf = (topic: Topic, rowsMax: number): number => {
    const ofCount = topic.loadedCount + rowsMax - settings.loadedMax / 2;
    const bytesEach = topic.loadedCount === 0 ? 0 : topic.loadedBytes / topic.loadedCount;
    const ofBytes = bytesEach === 0 ? 0 : rowsMax + (topic.loadedBytes - settings.loadedBytesMax / 2) / bytesEach;
    return Math.min(topic.loadedCount, Math.max(ofCount, ofBytes));
  };

  /** True: behind what was read there is nothing but this topic, as far as was seen. */
  const isAlone = async (topic: Topic, nowMs: number): Promise<boolean> => {
    if (cursor.lastId < otherTo) return false;
    if (nowMs - aheadFromMs >= lookAgainMs) {
      aheadFromMs = nowMs;
      aheadTo = cursor.lastId;
    }
    if (aheadTo < cursor.lastId) aheadTo = cursor.lastId;
    if (nowMs - lookedAtMs < lookEveryMs || aheadTo - cursor.lastId >= aheadMax) return true;
    lookedAtMs = nowMs;
    const deadlineMs = settings.statementDeadlineMs;
    const { toId, hasOtherTopics } = await ledger.lookAhead(connections.read, {
      afterId: aheadTo,
      topic: topic.name,
      rowsMax: rowsOfLook,
      deadlineMs,
    });
    if (toId !== null) aheadTo = toId;
    if (hasOtherTopics) otherTo = aheadTo;
    return !hasOtherTopics;
  };

  const isWorthWaiting = async (topic: Topic, rowsMax: number): Promise<boolean> => {
    const excess = excessOf(topic, rowsMax);
    if (excess <= 0 || !isGoing(topic) || session.transportWaitsUntilMs > 0 || session.isSolo) return false;
    const nowMs = clock.monotonicMs();
    heldSinceMs ??= nowMs;
    const rate = rateOf(topic, nowMs);
    if (rate === null) return true;
    if (nowMs - heldSinceMs >= heldMsMax || excess > rate * roomWithinMs) return false;
    return await isAlone(topic, nowMs);
  };

  const isHeldFor = async (topic: Topic, rowsMax: number): Promise<boolean> => {
    if (await isWorthWaiting(topic, rowsMax)) return true;
    heldSinceMs = null;
    if (topic.loadedCount === 0) full = null;
    return false;
  };

  return {
    note({ topic }) {
      if (topic !== full && topic.loadedCount * 4 >= settings.loadedMax) full = topic;
    },
    isHeld: (rowsMax) => full !== null && isHeldFor(full, rowsMax),
  };
}
