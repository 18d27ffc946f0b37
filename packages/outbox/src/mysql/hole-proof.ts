/**
 * How holes end on MySQL and MariaDB, as a pure state machine: it is told the holes, the time, and how each try ended; it does no I/O.
 *
 *     hole ──seen for fenceAfterMs──▶ due ──probe: nothing there, nobody writing──▶ insert of a fence ──▶ fenced ──next read──▶ ended
 *                                      ▲        └─ a row, a lock, 1062, 1205, 1213: alive ─┐   └─ the same ─┐
 *                                      └──────────── again after 0.1 s, doubling to 2 s ───┴────────────────┘
 *
 * That nobody holds a lock on an id proves nothing there. A statement that inserts many rows takes ids ahead of rows; an insert that waits for
 * a gap has an id and no row; Galera does not tell one node of another's locks; a thread that is not being run has neither row nor lock. So we do not
 * look: we take the id, with a row that every reader skips. The primary key then is the referee:
 *   (a) If our row is in, no other can ever have this id; whoever tries gets 1062, loudly, and no message is lost in silence.
 *   (b) If another row is in, ours is refused, and the next read brings the other.
 * Nothing of this rests on time. Age only keeps us from taking ids of writers that are merely slow.
 *
 * The probe comes first so that a writer that is at work does not have to wait for us, nor we for it. A run is probed whole, and taken in pieces.
 * Our fence touches no memory of the reader: it comes with the next read, like any row, and ends its hole there. Until then its ids are
 * remembered here as taken. Where a crash of ours falls between the arrows does not matter: what was fenced is read, what was not is due again.
 */
import { intersectRanges, subtractRanges, uniteRanges } from "../id-ranges.ts";
import type { IdRange } from "../ledger.ts";

/** Longer runs were hardly left by an insert: an id was set by hand, or the counter. Taking them would cost hours and disk. */
export const runIdsMax = 1_000_000n;

/** One probe and one insert take at most this many runs, and ids. */
export const runsPerTryMax = 100;
export const idsPerTryMax = 1_000n;

/** Beyond this many holes a reader reads nothing new, and holes are left to their writers for less time. */
export const holesMax = 10_000;
const fenceAfterMsWhenMany = 5_000;

const backoffFirstMs = 100;
const backoffMaxMs = 2_000;

/** A hole, since when it is known, and not to be tried before when. */
interface Watched extends IdRange {
  readonly sinceMs: number;
  readonly notBeforeMs: number;
  readonly failures: number;
}

export interface FenceState {
  /** The reader's holes as of the latest look; ascending, disjoint. */
  readonly holes: readonly Watched[];
  /** Ids in them that we have taken and that no read has brought yet. */
  readonly taken: readonly IdRange[];
}

export const nothingFenced: FenceState = { holes: [], taken: [] };

/** Takes in the reader's holes at the time `nowMs`. A part of a hole that was known is as old as the whole was; what is partly new is new. */
export function watchHoles(state: FenceState, holes: readonly IdRange[], nowMs: number): FenceState {
  let index = 0;
  const watched = holes.map(({ low, high }): Watched => {
    while ((state.holes[index]?.high ?? high) < high) index += 1;
    const known = state.holes[index];
    return known !== undefined && known.low <= low
      ? { ...known, low, high }
      : { low, high, sinceMs: nowMs, notBeforeMs: nowMs, failures: 0 };
  });
  return { holes: watched, taken: intersectRanges(state.taken, holes) };
}

/** Runs of ids that are old enough to be taken, ascending. Those that are too long are not among them. */
export function dueRuns(state: FenceState, nowMs: number, fenceAfterMs: number): readonly IdRange[] {
  const afterMs = state.holes.length > holesMax ? Math.min(fenceAfterMs, fenceAfterMsWhenMany) : fenceAfterMs;
  const due = state.holes.filter(
    (hole) => nowMs - hole.sinceMs >= afterMs && nowMs >= hole.notBeforeMs && hole.high - hole.low < runIdsMax,
  );
  return subtractRanges(due, state.taken);
}

/** Holes that are kept for their length. */
export function tooLongHoles(state: FenceState): readonly IdRange[] {
  return state.holes.filter(({ low, high }) => high - low >= runIdsMax);
}

/** What is tried at once. `probed` are whole runs; `ids` are what is taken of them: all of each, or a first piece of a long one. */
export interface Try {
  readonly probed: readonly IdRange[];
  readonly ids: readonly IdRange[];
}

/** Cuts due runs into tries: as many runs as fit together, and a long one by itself. */
export function triesOf(runs: readonly IdRange[]): readonly Try[] {
  const tries: Try[] = [];
  let together: IdRange[] = [];
  let count = 0n;
  const close = (): void => {
    if (together.length > 0) tries.push({ probed: together, ids: together });
    together = [];
    count = 0n;
  };
  for (const run of runs) {
    const length = run.high - run.low + 1n;
    if (length > idsPerTryMax) {
      close();
      tries.push({ probed: [run], ids: [{ low: run.low, high: run.low + idsPerTryMax - 1n }] });
      continue;
    }
    if (together.length === runsPerTryMax || count + length > idsPerTryMax) close();
    together.push(run);
    count += length;
  }
  close();
  return tries;
}

/** The halves of a try that met somebody; null if it is one run, which then is the one that is alive. */
export function halvesOf({ probed }: Try): readonly [Try, Try] | null {
  if (probed.length === 1) return null;
  const middle = Math.ceil(probed.length / 2);
  const [first, second] = [probed.slice(0, middle), probed.slice(middle)];
  return [
    { probed: first, ids: first },
    { probed: second, ids: second },
  ];
}

/** These ids are ours now. */
export function noteTaken(state: FenceState, ids: readonly IdRange[]): FenceState {
  return { ...state, taken: uniteRanges(state.taken, ids) };
}

/** Somebody is at work in this run, or its row is there by now: its hole is left alone for a while. */
export function noteAlive(state: FenceState, run: IdRange, nowMs: number): FenceState {
  const holes = state.holes.map((hole): Watched => {
    if (hole.high < run.low || hole.low > run.high) return hole;
    const waitMs = Math.min(backoffFirstMs * 2 ** hole.failures, backoffMaxMs);
    return { ...hole, failures: hole.failures + 1, notBeforeMs: nowMs + waitMs };
  });
  return { ...state, holes };
}
