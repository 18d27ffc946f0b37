/**
 * The partitions that are ours in one generation, from the fetch to the commit.
 *
 *     joined ─▶ where does each stand? ─▶ fetched ─▶ buffer ─▶ handler ─▶ settled ─▶ committed
 *                  │    └ a gap is reported   │         ▲          │
 *                  └ asked again until known  │         └── again ─┘  its key waits, in memory
 *                                             └ rests while its buffer is more than half full, or all of them together are
 *
 * Each partition is a lane of its own: it is fetched, handed over and resumed without regard to the others, and they take turns at the
 * handlers. Where it is fetched from is known here and nowhere else. A hand-over that begins elsewhere is refused, and the partition's
 * position asked for: either the log has lost what we were to read, which is reported, or the library went astray, and is sent back.
 *
 * It ends with its generation: what is unsettled is forgotten here and delivered again to whoever has the partition then. Handlers that
 * still run find nobody who listens.
 */
import { backoffMs, type Clock, type Random, type Settlement, type Timer, wait, withDeadline } from "@waybill/core";
import { type Committer, createCommitter } from "./committer.ts";
import type { Generation, Handover, PartitionPosition, Reception, TopicPartition } from "./consumer-client.ts";
import type { HandlerCalls } from "./handler-calls.ts";
import { createPartitionBuffer, type PartitionBuffer, type TakenRecord } from "./partition-buffer.ts";
import { receivedRecord } from "./received-record.ts";
import type { KafkaSourceSettings } from "./source-options.ts";
import { startPosition } from "./start-position.ts";
import type { PartitionView } from "./watchdog.ts";

export interface Assignment {
  received(handover: Handover): Reception;
  /** Hands over what may go out now. */
  handOver(): void;
  /** Hands over nothing more; what is settled is still committed. */
  suspend(): void;
  /** Commits what can be. Answers whether nothing is left to commit. */
  commitNow(deadlineMs: number): Promise<boolean>;
  /** Does nothing more, and forgets everything. */
  end(): void;
  /** True if a partition that is fetched has messages that it does not hand over, or nobody can tell. */
  isLagging(): Promise<boolean>;
  /** Messages of our partitions that the group has not committed; null: the brokers do not say. Marks of the broker's own are counted, too. */
  lag(): Promise<number | null>;
  views(nowMs: number): readonly PartitionView[];
}

export interface AssignmentOptions {
  readonly generation: Generation;
  readonly calls: HandlerCalls;
  readonly settings: KafkaSourceSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly onSettled: () => void;
  readonly onGap: (position: PartitionPosition & { readonly committed: bigint }) => void;
  readonly onCommitFailed: (reason: string) => void;
}

interface PartitionLane extends TopicPartition {
  /** null: it is not known yet where it stands. */
  buffer: PartitionBuffer | null;
  /** Where the next hand-over begins. */
  expected: bigint | null;
  /** `lost`: where it stands is being asked for. */
  state: "lost" | "resting" | "fetched";
  /** The broker was asked once, and said that we are beyond the end of the log. */
  isBeyond: boolean;
  fetchedSinceMs: number;
  idleSinceMs: number | null;
  settledMs: number;
  outSinceMs: number;
  waitingSinceMs: number | null;
}

const positionsDeadlineMs = 10_000;
const positionsBackoff = { firstMs: 500, maxMs: 5_000 } as const;

/** What one partition holds at most before it rests; a single hand-over may exceed it. */
const shareBytes = { min: 262_144, max: 4_194_304 } as const;

export function createAssignment(options: AssignmentOptions): Assignment {
  const { generation, calls, settings, clock, random } = options;
  const bornMs = clock.monotonicMs();
  const lanes = new Map<string, PartitionLane>();
  for (const { topic, partition } of generation.partitions) lanes.set(nameOf({ topic, partition }), newLane(topic, partition, bornMs));
  const inTurn = [...lanes.values()];
  const share = Math.min(Math.max(settings.bytesMax / Math.max(1, inTurn.length), shareBytes.min), shareBytes.max);
  const ending = new AbortController();
  let turn = 0;
  let heldBytes = 0;
  let dueTimer: Timer | null = null;
  let dueTimerMs: number | null = null;
  let isHandingOver = true;
  let isLocating = false;

  const committer: Committer = createCommitter({
    generation,
    partitions: () => inTurn,
    everyMs: settings.commitEveryMs,
    clock,
    random,
    onCommitted: () => handOver(),
    onFailed: options.onCommitFailed,
  });

  /** Finds out where lost partitions stand, and lets them begin. Asks until it knows. */
  const locate = async (): Promise<void> => {
    for (let attempt = 1; !ending.signal.aborted && inTurn.some(({ state }) => state === "lost"); attempt += 1) {
      for (const position of await positionsOf(generation, clock)) {
        const lane = lanes.get(nameOf(position));
        if (lane?.state === "lost" && !ending.signal.aborted) begin(lane, position);
      }
      if (inTurn.some(({ state }) => state === "lost")) await wait(clock, backoffMs(positionsBackoff, attempt, random), ending.signal);
    }
  };
  const begin = (lane: PartitionLane, position: PartitionPosition): void => {
    const at = lane.expected ?? position.committed;
    const start = startPosition(at, position, lane.isBeyond);
    if (start.kind === "askAgain") {
      lane.isBeyond = true;
      return;
    }
    lane.isBeyond = false;
    if (start.isGap && at !== null) options.onGap({ ...position, committed: at });
    if (lane.buffer === null) lane.buffer = createPartitionBuffer(start.from, { windowMax: settings.windowMax });
    else if (at !== null && start.from < at) lane.buffer.beginAnew(start.from);
    lane.expected = start.from;
    lane.state = "resting";
    resumeWhereRoom();
  };
  const startLocating = (): void => {
    if (isLocating) return;
    isLocating = true;
    const over = (): void => {
      isLocating = false;
    };
    locate().then(over, over);
  };

  const hasRoom = (): boolean => heldBytes <= (settings.bytesMax * 3) / 4;
  const resumeWhereRoom = (): void => {
    if (!isHandingOver || !hasRoom()) return;
    for (let step = 0; step < inTurn.length; step += 1) {
      const lane = inTurn[(turn + step) % inTurn.length] as PartitionLane;
      if (lane.state !== "resting" || lane.buffer === null || lane.expected === null || lane.buffer.bytes > share / 2) continue;
      lane.state = "fetched";
      lane.fetchedSinceMs = clock.monotonicMs();
      generation.resume(lane, lane.expected);
    }
  };

  const handOver = (): void => {
    if (!isHandingOver) return;
    const nowMs = clock.monotonicMs();
    // Everybody is asked once more after somebody had something, and nobody twice in a row.
    for (let without = 0; without < inTurn.length && calls.hasRoom; ) {
      const lane = inTurn[turn % inTurn.length] as PartitionLane;
      turn += 1;
      const taken = lane.buffer?.take(nowMs) ?? null;
      without = taken === null ? without + 1 : 0;
      if (taken !== null) call(lane, lane.buffer as PartitionBuffer, taken, nowMs);
    }
    setDueTimer(nowMs);
  };
  const call = (lane: PartitionLane, buffer: PartitionBuffer, taken: TakenRecord, nowMs: number): void => {
    if (buffer.out === 1) lane.outSinceMs = nowMs;
    calls.call({ message: taken.message, redelivered: taken.redelivered }).then((settlement) => {
      if (ending.signal.aborted) calls.offerRoom();
      else settle(lane, buffer, taken, settlement);
    }, unreachable);
  };
  const settle = (lane: PartitionLane, buffer: PartitionBuffer, taken: TakenRecord, settlement: Settlement): void => {
    const nowMs = clock.monotonicMs();
    heldBytes -= buffer.settle(taken, settlement, nowMs);
    lane.settledMs = nowMs;
    options.onSettled();
    if (buffer.toCommit() !== null) committer.soon();
    resumeWhereRoom();
    handOver();
  };
  /** One timer for all that come again later. */
  const setDueTimer = (nowMs: number): void => {
    let next: number | null = null;
    for (const { buffer } of inTurn) {
      const dueMs = buffer?.nextDueMs(nowMs) ?? null;
      if (dueMs !== null && (next === null || dueMs < next)) next = dueMs;
    }
    if (next === dueTimerMs) return;
    cancelDueTimer();
    if (next === null) return;
    dueTimerMs = next;
    dueTimer = clock.setTimer(next - nowMs, () => {
      dueTimerMs = null;
      handOver();
    });
  };
  const cancelDueTimer = (): void => {
    dueTimer?.cancel();
    dueTimer = null;
    dueTimerMs = null;
  };

  startLocating();
  return {
    received(handover) {
      const lane = lanes.get(nameOf(handover));
      if (lane === undefined || lane.buffer === null || lane.state !== "fetched" || ending.signal.aborted) return "refused";
      if (handover.from !== lane.expected) {
        lane.state = "lost";
        lane.fetchedSinceMs = clock.monotonicMs();
        startLocating();
        return "refused";
      }
      const records = handover.records.map((record) => receivedRecord(record, handover.topic));
      const bytes = records.reduce((sum, record) => sum + record.bytes, 0);
      if (heldBytes > 0 && heldBytes + bytes > settings.bytesMax) {
        lane.state = "resting";
        return "refused";
      }
      lane.buffer.add(records, handover.next);
      lane.expected = handover.next;
      lane.fetchedSinceMs = clock.monotonicMs();
      heldBytes += bytes;
      if (lane.buffer.toCommit() !== null) committer.soon();
      if (lane.buffer.bytes > share / 2) lane.state = "resting";
      handOver();
      return lane.state === "resting" ? "rest" : "goOn";
    },

    handOver,

    suspend() {
      isHandingOver = false;
      cancelDueTimer();
    },

    commitNow: (deadlineMs) => committer.now(deadlineMs),

    end() {
      isHandingOver = false;
      ending.abort();
      committer.end();
      cancelDueTimer();
      inTurn.length = 0;
      lanes.clear();
    },

    async isLagging() {
      const silent = inTurn.filter(({ state }) => state !== "resting").map((lane) => ({ lane, since: lane.fetchedSinceMs }));
      const positions = await positionsOf(generation, clock);
      return silent.some(({ lane, since }) => {
        if (lane.state === "resting" || lane.fetchedSinceMs !== since) return false; // it moved meanwhile
        const position = positions.find((one) => one.topic === lane.topic && one.partition === lane.partition);
        return position === undefined || lane.expected === null || position.high > lane.expected;
      });
    },

    async lag() {
      const positions = await positionsOf(generation, clock);
      if (positions.length < inTurn.length) return null;
      return positions.reduce((sum, { committed, low, high }) => sum + Math.max(0, Number(high - (committed ?? low))), 0);
    },

    views(nowMs) {
      return inTurn.map((lane) => {
        const { buffer } = lane;
        const isIdle = lane.state === "resting" && buffer !== null && buffer.records === 0 && hasRoom();
        lane.idleSinceMs = isIdle ? (lane.idleSinceMs ?? nowMs) : null;
        lane.waitingSinceMs = buffer?.hasWaiting(nowMs) === true ? (lane.waitingSinceMs ?? nowMs) : null;
        return {
          silentSinceMs: lane.state === "resting" ? null : lane.fetchedSinceMs,
          idleSinceMs: lane.idleSinceMs,
          outSinceMs: buffer !== null && buffer.out > 0 ? Math.max(lane.outSinceMs, lane.settledMs) : null,
          waitingSinceMs: lane.waitingSinceMs,
        };
      });
    },
  };
}

function newLane(topic: string, partition: number, nowMs: number): PartitionLane {
  return {
    topic,
    partition,
    buffer: null,
    expected: null,
    state: "lost",
    isBeyond: false,
    fetchedSinceMs: nowMs,
    idleSinceMs: null,
    settledMs: nowMs,
    outSinceMs: nowMs,
    waitingSinceMs: null,
  };
}

/** Nothing if the brokers do not say in time. */
async function positionsOf(generation: Generation, clock: Clock): Promise<readonly PartitionPosition[]> {
  try {
    const answer = await withDeadline(clock, positionsDeadlineMs, generation.positions());
    return answer.kind === "late" ? [] : answer.value;
  } catch {
    return [];
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

function unreachable(): void {
  // Calls of handlers never reject.
}
