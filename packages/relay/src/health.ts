/** How a relay is doing, by progress: a process that lives and does not move is not healthy. */
import type { Topic } from "./lanes.ts";
import type { RunningSession } from "./run-session.ts";

export interface RelayHealth {
  /**
   * `standby`: another relay holds the lease, all is well. `paused`, `stopped`: so says the subscription's row (or a stop of ours).
   * `failing`: between two sessions, waiting to begin anew.
   */
  readonly state: "starting" | "standby" | "active" | "paused" | "stopped" | "failing";
  /** Age of the oldest message that was read and is neither published nor given up, by the database's clock; 0: there is none. */
  readonly oldestUnpublishedMs: number;
  /** True if the last read found everything there was. */
  readonly isCaughtUp: boolean;
  /** True if holes and waiting messages fill their bound, and nothing new is read. */
  readonly isFull: boolean;
  readonly epoch: bigint | null;
  readonly lastId: bigint | null;
  readonly lowWaterMark: bigint | null;
  readonly holeRanges: number;
  readonly unconfirmed: number;
  readonly parked: number;
  readonly loadedBytes: number;
  /** For how long the oldest delayed message that has not entered the ledger yet had been due when it was last asked for; 0: none was due. */
  readonly delayedDueMs: number;
  /** Topics that wait after a failure, at most ten. */
  readonly waitingTopics: readonly string[];
  /** Topics whose breaker is open: they have failed `breakerFailuresMax` times in a row; at most ten. */
  readonly openBreakers: readonly string[];
  /** Topics that a dead letter has stopped (policy `stop`), at most ten. */
  readonly stoppedTopics: readonly string[];
  /** Topics with spilled messages, at most ten. They are not among the unpublished ones above. */
  readonly spilledTopics: readonly string[];
  /** Why the last session ended, until a new one runs. */
  readonly lastError: string | null;
  /** What the subscription's row gives as the reason for its state, while it is paused or stopped: `idsWentBack:10:5`; `deleted` if the row is gone. */
  readonly stateReason: string | null;
}

const idle = {
  oldestUnpublishedMs: 0,
  isCaughtUp: false,
  isFull: false,
  epoch: null,
  lastId: null,
  lowWaterMark: null,
  holeRanges: 0,
  unconfirmed: 0,
  parked: 0,
  loadedBytes: 0,
  delayedDueMs: 0,
  waitingTopics: [],
  openBreakers: [],
  stoppedTopics: [],
  spilledTopics: [],
} as const;

export function healthOf(
  state: RelayHealth["state"],
  running: RunningSession | null,
  lastError: string | null,
  stateReason: string | null,
): RelayHealth {
  if (running === null) return { ...idle, state, lastError, stateReason };
  const { session, isCaughtUp, isFull, delayedDueMs } = running;
  const { cursor, lanes, clock } = session;
  const oldest = cursor.oldestOpen();
  const { lastId, ranges } = cursor.snapshot();
  const topics = [...lanes.topics.values()];
  const namesOf = (isMeant: (topic: Topic) => boolean): readonly string[] =>
    topics
      .filter(isMeant)
      .slice(0, 10)
      .map((topic) => topic.name);
  return {
    state,
    oldestUnpublishedMs: oldest === null ? 0 : Math.max(0, clock.monotonicMs() + session.databaseOffsetMs - oldest.createdAtMs),
    isCaughtUp,
    isFull,
    epoch: session.fence.epoch,
    lastId,
    lowWaterMark: ranges[0]?.low ?? lastId + 1n,
    holeRanges: cursor.holes.length,
    unconfirmed: cursor.openCount,
    parked: lanes.parkedCount,
    loadedBytes: lanes.loadedBytes,
    delayedDueMs,
    waitingTopics: namesOf((topic) => topic.waitsUntilMs > 0),
    openBreakers: namesOf((topic) => topic.failures >= session.settings.breakerFailuresMax),
    stoppedTopics: namesOf((topic) => topic.isStopped),
    spilledTopics: running.spilledTopics,
    lastError,
    stateReason,
  };
}
