/**
 * Which message may be published next, and which must wait behind another. No I/O; time is passed in.
 *
 * The unit of order is the lane, (topic, key); a message without key is a lane of its own. A lane does ONE thing at a time and
 * takes its work in this order:
 *
 *     released rows of the dead-letter table ─▶ copies in the spill, by sequence ─▶ entries read from the ledger, by id
 *
 *     idle ──entry──▶ ready ──take──▶ busy: publish │ copy to the dead letters │ publish released rows │ copy to the spill, delete there
 *                       ▲               │
 *                       ├──── done ─────┤
 *                       └── due ── waiting ◀── retry, unknown (this lane, its topic, or everything)
 *
 * What waits is *parked*: its bytes are dropped, its id stays open and its attempts are kept. When it is due it is read again by
 * id – the row is known to be visible, so a statement of its own is safe – before anything newer of its lane. Payloads that were
 * too large to come with their batch are loaded in the same way. So what a dead topic costs in memory is ids, and it stops no other.
 * What waits for long is *spilled*: its id is out of the cursor, too, and its copy is brought as an entry that stands before those of the
 * ledger (`spilling.ts`, `bringing.ts`).
 *
 * A lane that has work, or waits for an answer about itself, is in memory. When it falls idle all that was known about it is
 * forgotten, and the next message of its key has to ask again.
 */
import { type RejectionBrake, releasedBrake } from "@waybill/core";
import type { LedgerRow } from "@waybill/outbox";
import type { OpenId } from "./cursor.ts";
import type { KeyPolicy } from "./key-policy.ts";
import type { Headers } from "./outgoing.ts";

/** A message that was read and is not finished. */
export interface Entry extends OpenId {
  readonly lane: Lane;
  readonly messageId: string;
  readonly createdAtMs: number;
  /** null: parked, or not loaded yet. */
  row: LedgerRow | null;
  /** What the row takes in memory while it is loaded; at least its payload. */
  bytes: number;
  /** Parsed when its row is brought; null: unreadable, or parked. */
  headers: Headers | null;
  /** Why it can never be published, found before the first try; null: nothing known against it. */
  unreadable: string | null;
  /** Tries that ended for this message's own sake. */
  attempts: number;
  /** One of the tries ended `unknown`. */
  mayBeStored: boolean;
  /** Its bytes were brought when its turn came; they did not come with its batch. */
  isBrought: boolean;
  /** It was stored open, or spilled, when the lease was acquired, and nothing has become of it yet. */
  isAwaited: boolean;
  /** It stands in the spill: no id of the cursor's, and its bytes come from there. */
  readonly isSpilled: boolean;
}

export interface Lane {
  readonly topic: Topic;
  readonly key: string | null;
  /** What is spilled before what is not, each by id. The first `inHand` are being worked on. */
  readonly entries: Entry[];
  inHand: number;
  isBusy: boolean;
  /** It stands in its topic's list of ready lanes. */
  isListed: boolean;
  /** Look-ups whose answer may still finish entries of this lane, or open it. */
  lookUps: number;
  /** The dead-letter table has undecided rows of this lane. */
  isOpen: boolean;
  /** … and one of them was held, so that newer ones wait behind it whatever the key policy says. */
  hasHeld: boolean;
  /** Released rows are to be published before anything else of this lane. */
  hasReleased: boolean;
  /** It has a key, and may have copies in the spill beside those that are entries here. They come before entries of the ledger. */
  hasSpilled: boolean;
  /** Monotonic time until which it waits; 0: it does not. */
  waitsUntilMs: number;
  /** Monotonic time since which it has got no further for its own sake; 0: it has. */
  waitsSinceMs: number;
}

export interface Topic {
  readonly name: string;
  /** By key. */
  readonly lanes: Map<string, Lane>;
  readonly ready: Lane[];
  /** Lanes in memory, those without key included. */
  laneCount: number;
  /** Of its entries: how many have their bytes in memory, and those bytes. */
  loadedCount: number;
  loadedBytes: number;
  /** Of its entries: how many stand in the spill. */
  spilledCount: number;
  calls: number;
  /** Messages confirmed since it is in memory. */
  confirmedCount: number;
  /** Failures in a row that were the topic's, or rejections taken for such. */
  failures: number;
  /** Messages in a row that ended unknown for their own sake, each counted once. */
  unknowns: number;
  waitsUntilMs: number;
  /** Monotonic time since which it has waited, tries included; 0: it does not. */
  waitsSinceMs: number;
  /** One of its messages is dead or released, and its policy is `stop`: nothing but what was released is published. */
  isStopped: boolean;
  brake: RejectionBrake;
}

/** What a lane can do now. */
export type Step = "nothing" | "released" | "bring" | "hold" | "giveUp" | "load" | "publish";

export interface Lanes {
  readonly topics: ReadonlyMap<string, Topic>;
  /** Topics with ready lanes, the one served longest ago first. Whoever serves a topic moves it to the end, or takes it out. */
  readonly readyTopics: Set<Topic>;
  /** Entries with their bytes in memory, and those bytes. */
  readonly loadedCount: number;
  readonly loadedBytes: number;
  /** How many of them were brought when their turn came, and their bytes. */
  readonly broughtCount: number;
  readonly broughtBytes: number;
  readonly parkedCount: number;
  /** Entries that stand in the spill. */
  readonly spilledCount: number;
  /** A topic, made if it is not in memory. */
  topic(name: string): Topic;
  /** The lane of a message, made if it is not in memory. */
  lane(topic: string, key: string | null): Lane;
  /** Puts an entry in its place: behind everything with a smaller id and behind what is spilled if it is not, but never before what is in hand. */
  enter(entry: Entry): void;
  /** Takes an entry out, finished, and lets go of its bytes. */
  leave(entry: Entry): void;
  /** Brings the bytes of an entry whose turn has come. */
  load(entry: Entry, row: LedgerRow, headers: Headers | null): void;
  /** Drops its bytes. */
  park(entry: Entry): void;
  /** What the lane can do now, under this policy. */
  step(lane: Lane, policy: KeyPolicy): Step;
  /** Lists the lane as ready if it is not yet, or forgets it if it has nothing left to do. */
  settle(lane: Lane): void;
  all(): Iterable<Lane>;
}

/**
 * Idle lanes are kept for the next message of their key, knowing nothing any more, until there are this many lanes: making and
 * forgetting one per message would be a fifth of the relay's work.
 */
const lanesMax = 10_000;

export function createLanes(): Lanes {
  const topics = new Map<string, Topic>();
  const readyTopics = new Set<Topic>();
  const keyless = new Set<Lane>();
  let loadedCount = 0;
  let loadedBytes = 0;
  let broughtCount = 0;
  let broughtBytes = 0;
  let parkedCount = 0;
  let spilledCount = 0;
  let laneCount = 0;

  const topicOf = (name: string): Topic => {
    let topic = topics.get(name);
    if (topic === undefined) {
      topic = {
        name,
        lanes: new Map(),
        ready: [],
        laneCount: 0,
        loadedCount: 0,
        loadedBytes: 0,
        spilledCount: 0,
        calls: 0,
        confirmedCount: 0,
        failures: 0,
        unknowns: 0,
        waitsUntilMs: 0,
        waitsSinceMs: 0,
        isStopped: false,
        brake: releasedBrake,
      };
      topics.set(name, topic);
    }
    return topic;
  };

  const makeLane = (topic: Topic, key: string | null): Lane => {
    laneCount += 1;
    topic.laneCount += 1;
    return {
      topic,
      key,
      entries: [],
      inHand: 0,
      isBusy: false,
      isListed: false,
      lookUps: 0,
      isOpen: false,
      hasHeld: false,
      hasReleased: false,
      hasSpilled: false,
      waitsUntilMs: 0,
      waitsSinceMs: 0,
    };
  };

  /** The bytes of an entry come into memory. */
  const count = ({ lane: { topic }, bytes }: Entry): void => {
    loadedCount += 1;
    loadedBytes += bytes;
    topic.loadedCount += 1;
    topic.loadedBytes += bytes;
  };

  /** The bytes of a loaded entry go out of memory, with it or without. */
  const unload = (entry: Entry): void => {
    const { topic } = entry.lane;
    loadedCount -= 1;
    loadedBytes -= entry.bytes;
    topic.loadedCount -= 1;
    topic.loadedBytes -= entry.bytes;
    if (!entry.isBrought) return;
    entry.isBrought = false;
    broughtCount -= 1;
    broughtBytes -= entry.bytes;
  };

  /** Takes everything that is known about an idle lane out of memory. */
  const forget = (lane: Lane): void => {
    lane.isOpen = false;
    lane.hasHeld = false;
    lane.hasSpilled = false;
    lane.waitsSinceMs = 0;
    const { topic, key } = lane;
    const isGone = key === null ? keyless.delete(lane) : laneCount > lanesMax && topic.lanes.get(key) === lane && topic.lanes.delete(key);
    if (!isGone) return;
    laneCount -= 1;
    topic.laneCount -= 1;
    // A topic that nothing is known about goes, too: names may come and go without end.
    const isIdle = topic.laneCount === 0 && topic.calls === 0 && topic.unknowns === 0 && isGoing(topic);
    if (!isIdle || topic.ready.length > 0 || topic.brake.inARow > 0) return;
    topics.delete(topic.name);
    readyTopics.delete(topic);
  };

  return {
    topics,
    readyTopics,
    get loadedCount() {
      return loadedCount;
    },
    get loadedBytes() {
      return loadedBytes;
    },
    get broughtCount() {
      return broughtCount;
    },
    get broughtBytes() {
      return broughtBytes;
    },
    get parkedCount() {
      return parkedCount;
    },
    get spilledCount() {
      return spilledCount;
    },
    topic: topicOf,
    lane(topicName, key) {
      const topic = topicOf(topicName);
      if (key === null) {
        const single = makeLane(topic, null);
        keyless.add(single);
        return single;
      }
      let lane = topic.lanes.get(key);
      if (lane === undefined) {
        lane = makeLane(topic, key);
        topic.lanes.set(key, lane);
      }
      return lane;
    },
    enter(entry) {
      const { entries, inHand } = entry.lane;
      let place = entries.length;
      while (place > inHand && isBehind(entries[place - 1] as Entry, entry)) place -= 1;
      if (place === entries.length) entries.push(entry);
      else entries.splice(place, 0, entry);
      if (entry.row === null) parkedCount += 1;
      else count(entry);
      if (!entry.isSpilled) return;
      spilledCount += 1;
      entry.lane.topic.spilledCount += 1;
    },
    leave(entry) {
      const { entries } = entry.lane;
      if (entries[0] === entry) entries.shift();
      else {
        const place = entries.indexOf(entry);
        if (place === -1) return;
        entries.splice(place, 1);
      }
      if (entry.row === null) parkedCount -= 1;
      else {
        unload(entry);
        // The cursor keeps finished entries until they are the most.
        entry.row = null;
        entry.headers = null;
      }
      if (!entry.isSpilled) return;
      spilledCount -= 1;
      entry.lane.topic.spilledCount -= 1;
    },
    load(entry, row, headers) {
      if (entry.row !== null) return;
      entry.row = row;
      entry.headers = headers;
      entry.isBrought = true;
      parkedCount -= 1;
      count(entry);
      broughtCount += 1;
      broughtBytes += entry.bytes;
    },
    park(entry) {
      if (entry.row === null) return;
      entry.row = null;
      entry.headers = null;
      parkedCount += 1;
      unload(entry);
    },
    step(lane, policy) {
      if (lane.isBusy || lane.lookUps > 0 || lane.waitsUntilMs > 0) return "nothing";
      if (lane.hasReleased) return "released";
      if (lane.topic.isStopped) return "nothing";
      const head = lane.entries[0];
      if (lane.hasSpilled && head?.isSpilled !== true) return "bring";
      if (head === undefined) return "nothing";
      if (head.row === null) return "load";
      if (lane.isOpen && lane.key !== null && (policy === "hold" || lane.hasHeld)) return "hold";
      return head.unreadable === null ? "publish" : "giveUp";
    },
    settle(lane) {
      if (lane.isBusy || lane.lookUps > 0) return;
      if (lane.entries.length === 0 && !lane.hasReleased && !(lane.hasSpilled && isGoing(lane.topic))) {
        // Waiting alone keeps nothing in memory: its released rows and copies are found again by asking.
        if (lane.waitsUntilMs === 0) forget(lane);
        return;
      }
      if (lane.waitsUntilMs > 0 || lane.isListed || (lane.topic.isStopped && !lane.hasReleased)) return;
      lane.isListed = true;
      lane.topic.ready.push(lane);
      readyTopics.add(lane.topic);
    },
    all: function* () {
      for (const topic of topics.values()) yield* topic.lanes.values();
      yield* keyless;
    },
  };
}

/** Nothing keeps the topic from being published. */
export function isGoing(topic: Topic): boolean {
  return topic.failures === 0 && topic.waitsUntilMs === 0 && !topic.isStopped;
}

function isBehind(one: Entry, other: Entry): boolean {
  return one.isSpilled === other.isSpilled ? one.id > other.id : other.isSpilled;
}
