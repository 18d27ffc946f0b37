/**
 * Brings what was spilled back, before anything newer of its lane: topic by topic its copies are listed without their bytes, lane by lane, and
 * become entries at the front of their lanes. From there on they are entries like others – parked, loaded, published, given up – until
 * their end, which is the end of the copy.
 *
 *     list a page of heads ─▶ entries, parked ─▶ … published ─▶ confirmed ─▶ copy deleted, under the fence ─▶ lane goes on
 *          ▲   a topic that waits is not asked about, one that failed is asked for a single message          │
 *          └── a lane with more copies than came at once: brought again before its entries of the ledger ◀───┘
 *
 * A crash between confirm and delete publishes again. What a page shows may be gone when it is applied – another call of ours deleted it –
 * but then its bytes cannot be loaded, and the entry ends there. That nothing is left in a lane is learnt while the lane is busy, that nothing
 * is left of a topic from a question during which nothing was copied: only this session writes the table, so both stay true.
 */
import { wait, withDeadline } from "@waybill/core";
import type { GivingUp } from "./giving-up.ts";
import { type Entry, isGoing, type Lane, type Topic } from "./lanes.ts";
import type { Progress } from "./progress.ts";
import type { Session } from "./session.ts";
import { soloDeathsMax } from "./solo.ts";
import { lastLaneOf, type SpilledHead, type SpillPlace, spillDigest } from "./spill.ts";

const lookMs = 1_000;
const headsMax = 500;
/** Of one lane with a key at a time. */
const perLaneMax = 100;
/** Entries of the spill in memory: of one topic, and in all. */
const perTopicMax = 2_000;
const spilledMax = 10_000;
const finishAgainMs = 100;

export interface Bringing {
  /** True while there may be copies: then what is read is looked up before it is published. */
  readonly mayHaveCopies: boolean;
  /** Topics that have copies, at most ten. */
  readonly topics: readonly string[];
  /** Copies of a topic are about to be made. Answers what to call when they are made, or were not. */
  copying(topic: string): () => void;
  /** A message without key was copied while its lane waits: its copy waits as well. */
  noteWaiting(entry: Entry): void;
  /** Brings copies of a busy lane with a key; finds out if it has none. */
  bring(lane: Lane): Promise<void>;
  /** Whether a busy lane with a key has copies that are no entries. */
  refresh(lanes: readonly Lane[]): Promise<void>;
  /** The entries were confirmed: deletes their copies and takes them out of their busy lanes. False: the session is over. */
  finish(entries: readonly Entry[]): Promise<boolean>;
  /** Resolves when nothing is being deleted, or after `deadlineMs`. */
  settled(deadlineMs: number): Promise<void>;
  /** Brings until the session ends. */
  run(): Promise<void>;
  /** There may be room, or a topic may be published again: looks at once. */
  wake(): void;
}

/** How far a topic's copies were listed. */
interface Listing {
  after: SpillPlace | null;
  /** Monotonic time at which it was last listed to its end. */
  endedAtMs: number;
  /** It had copies at acquire, and was not listed to its end since. */
  isFirst: boolean;
  /** How often copies were made, and how many of these units are under way. */
  copies: number;
  copying: number;
}

export function createBringing(
  session: Session,
  progress: Progress,
  givingUp: GivingUp,
  topicsAtStart: readonly string[],
  kick: () => void,
): Bringing {
  const { lanes, spill, connections, clock, deadLetters, reader } = session;
  const listings = new Map<string, Listing>();
  /** Messages without key, by sequence: each is a lane of its own. */
  const singles = new Map<bigint, Lane>();
  const deleting = new Set<Promise<unknown>>();
  let look = new AbortController();
  let isWoken = false;

  for (const name of topicsAtStart) listings.set(name, newListing(true));
  session.ended.addEventListener("abort", () => look.abort(), { once: true });

  const noteListed = (listing: Listing): void => {
    listing.isFirst = false;
    for (const other of listings.values()) if (other.isFirst) return;
    progress.spilledWereListed();
  };

  const entryOf = (head: SpilledHead, lane: Lane): Entry => {
    const deaths = progress.deaths.get(head.sequence) ?? 0;
    return {
      id: head.sequence,
      isFinished: false,
      lane,
      messageId: head.messageId,
      createdAtMs: head.createdAtMs,
      row: null,
      bytes: head.bytes,
      headers: null,
      unreadable: deaths >= soloDeathsMax ? "killsTheRelay" : null,
      attempts: head.attempts,
      mayBeStored: head.mayBeStored || deaths > 0,
      isBrought: false,
      isAwaited: false,
      isSpilled: true,
    };
  };

  const enter = (heads: readonly SpilledHead[], lane: Lane, isAwaited: boolean): void => {
    for (const head of heads) {
      if (lane.entries.some((entry) => entry.isSpilled && entry.id === head.sequence && entry.messageId === head.messageId)) continue;
      const entry = entryOf(head, lane);
      if (isAwaited) progress.await(entry);
      lanes.enter(entry);
    }
  };

  const isIdle = (lane: Lane): boolean => lane.entries.length === 0 && !lane.isBusy && lane.waitsUntilMs === 0;

  /** Takes heads of a topic in; answers the lanes of which nothing was known. */
  const apply = (heads: readonly SpilledHead[], isAwaited: boolean): ReadonlySet<Lane> => {
    const asked = new Set<Lane>();
    const mine = new Map<Lane, SpilledHead[]>();
    for (const head of heads) {
      const single = head.key === null ? singles.get(head.sequence) : undefined;
      if (single !== undefined && !isIdle(single)) continue;
      const lane = lanes.lane(head.topic, head.key);
      const group = mine.get(lane);
      if (group !== undefined) {
        if (group.length < perLaneMax) group.push(head);
        continue;
      }
      // A lane that has copies in memory, or is at something, brings the rest itself.
      if (lane.isBusy || lane.waitsUntilMs > 0 || lane.entries[0]?.isSpilled === true) continue;
      if (head.key === null) singles.set(head.sequence, lane);
      mine.set(lane, [head]);
      if (lane.key !== null && lane.entries.length === 0) asked.add(lane);
    }
    for (const [lane, group] of mine) {
      if (lane.key !== null) lane.hasSpilled = true;
      enter(group, lane, isAwaited);
    }
    if (!givingUp.mayBeOpen) asked.clear();
    for (const lane of asked) lane.lookUps += 1;
    for (const lane of mine.keys()) lanes.settle(lane);
    return asked;
  };

  /** A copy of the topic is in memory that may prove it. One that fails for its own sake proves nothing, however often it is tried. */
  const canProve = (topic: Topic): boolean => {
    const mayProve = (lane: Lane): boolean => lane.entries[0]?.isSpilled === true && lane.waitsSinceMs === 0;
    for (const lane of topic.lanes.values()) if (mayProve(lane)) return true;
    for (const lane of singles.values()) if (lane.topic === topic && mayProve(lane)) return true;
    return false;
  };

  /** Open rows of the dead-letter table come before copies. */
  const askDeadLetters = async (asked: ReadonlySet<Lane>): Promise<void> => {
    if (asked.size === 0) return;
    const names = [...asked].map(({ topic, key }) => ({ topic: topic.name, key: key ?? "" }));
    const { openLanes } = await deadLetters.lookUp(connections.lookUp, reader, [], names);
    if (session.ended.aborted) return;
    for (const open of openLanes) {
      const lane = lanes.lane(open.topic, open.key);
      lane.isOpen = true;
      lane.hasHeld ||= open.hasHeld;
    }
    for (const lane of asked) {
      lane.lookUps -= 1;
      lanes.settle(lane);
    }
  };

  /** Behind the last head; behind its whole lane if that has a key, for a lane brings what it has more than comes at once. */
  const placeOf = (heads: readonly SpilledHead[]): SpillPlace | null => {
    const last = heads.at(-1);
    if (last === undefined) return null;
    return { lane: spillDigest(last.topic, last.key), sequence: last.key === null ? last.sequence : null };
  };

  /** Lists the copies of a topic, as far as there is room and it may be published. */
  const list = async (name: string, listing: Listing): Promise<void> => {
    for (;;) {
      const topic = lanes.topics.get(name);
      if (topic !== undefined && (topic.waitsUntilMs > 0 || topic.isStopped)) {
        // What waits keeps no holder from having got somewhere.
        if (listing.isFirst) noteListed(listing);
        return;
      }
      const inMemory = topic?.spilledCount ?? 0;
      const isProving = topic !== undefined && !isGoing(topic);
      if (inMemory >= perTopicMax || lanes.spilledCount >= spilledMax || (isProving && canProve(topic))) return;
      // From the beginning again when what was brought is gone, or after a while: some of it may wait for long.
      if (listing.after === null && inMemory > 0 && clock.monotonicMs() - listing.endedAtMs < lookMs) return;
      const rowsMax = isProving ? 1 : headsMax;
      const { after, copies, copying } = listing;
      session.report({ name: "relay.spillReading", topic: name });
      const heads = await spill.heads(connections.lookUp, name, after, rowsMax);
      if (session.ended.aborted || session.isDraining) return;
      const asked = apply(heads, listing.isFirst);
      if (heads.length > 0) session.report({ name: "relay.spillRead", topic: name, messages: heads.length });
      await askDeadLetters(asked);
      if (session.ended.aborted) return;
      kick();
      listing.after = placeOf(heads);
      if (heads.length >= rowsMax) {
        if (isProving) return;
        continue;
      }
      listing.after = null;
      listing.endedAtMs = clock.monotonicMs();
      if (listing.isFirst) noteListed(listing);
      if (heads.length === 0 && after === null && copying === 0 && listing.copying === 0 && copies === listing.copies)
        listings.delete(name);
      return;
    }
  };

  const wake = (): void => {
    isWoken = true;
    look.abort();
  };

  const refresh = async (asked: readonly Lane[]): Promise<void> => {
    const keyed = asked.filter(({ key }) => key !== null);
    if (keyed.length === 0 || listings.size === 0) return;
    const names = keyed.map(({ topic, key }) => ({ topic: topic.name, key: key ?? "" }));
    const found = new Set((await spill.lookUp(connections.lookUp, [], names)).lanes);
    for (const [place, lane] of keyed.entries()) lane.hasSpilled = found.has(place);
  };

  const finish = async (entries: readonly Entry[]): Promise<boolean> => {
    const messages = entries.map(({ id, messageId }) => ({ sequence: id, messageId }));
    session.report({ name: "relay.spillDeleting", messages: entries.length });
    // A lock that somebody holds for a while must not have published messages published again.
    while (!(await givingUp.fenced("delete spilled", (tx) => spill.delete(tx, messages))))
      if (!(await session.pause(finishAgainMs))) return false;
    for (const entry of entries) {
      entry.isFinished = true;
      lanes.leave(entry);
      if (entry.lane.key === null) singles.delete(entry.id);
    }
    session.report({ name: "relay.spillDeleted", messages: entries.length });
    const touched = [...new Set(entries.map(({ lane }) => lane))];
    await refresh(touched.filter((lane) => lane.hasSpilled && lane.entries[0]?.isSpilled !== true));
    wake();
    return !session.ended.aborted;
  };

  return {
    wake,
    refresh,
    get mayHaveCopies() {
      return listings.size > 0;
    },
    get topics() {
      return [...listings.keys()].slice(0, 10);
    },
    copying(name) {
      const listing = listings.get(name) ?? newListing(false);
      listings.set(name, listing);
      listing.copies += 1;
      listing.copying += 1;
      return () => {
        listing.copying -= 1;
      };
    },
    noteWaiting(entry) {
      singles.set(entry.id, entry.lane);
    },
    async bring(lane) {
      if (lane.key === null) return;
      const heads = await spill.headsOfLane(connections.lookUp, { topic: lane.topic.name, key: lane.key }, null, perLaneMax);
      if (session.ended.aborted) return;
      if (heads.length === 0) lane.hasSpilled = false;
      else session.report({ name: "relay.spillRead", topic: lane.topic.name, messages: heads.length });
      enter(heads, lane, false);
    },
    finish(entries) {
      const finished = finish(entries);
      deleting.add(finished);
      const over = (): boolean => deleting.delete(finished);
      finished.then(over, over);
      return finished;
    },
    async settled(deadlineMs) {
      if (deleting.size > 0) await withDeadline(clock, deadlineMs, Promise.all(deleting));
    },
    async run() {
      if (listings.size === 0) progress.spilledWereListed();
      while (!session.ended.aborted && !session.isDraining) {
        for (const [sequence, lane] of singles) if (isIdle(lane)) singles.delete(sequence);
        if (session.transportWaitsUntilMs === 0) for (const [name, listing] of listings) await list(name, listing);
        look = new AbortController();
        // Woken meanwhile: what was seen may be older than what there is to see.
        if (!isWoken && !session.ended.aborted) await wait(clock, lookMs, look.signal);
        isWoken = false;
      }
    },
  };
}

function newListing(isFirst: boolean): Listing {
  return { after: null, endedAtMs: Number.NEGATIVE_INFINITY, isFirst, copies: 0, copying: 0 };
}

/** The topics of all copies. */
export async function spilledTopics({ spill, connections }: Session): Promise<readonly string[]> {
  const topics: string[] = [];
  for (;;) {
    const last = topics.at(-1);
    const next = await spill.nextTopic(connections.lookUp, last === undefined ? null : lastLaneOf(last));
    if (next === null) return topics;
    topics.push(next);
  }
}
