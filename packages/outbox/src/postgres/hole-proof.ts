/**
 * When a hole may be called dead, as a pure state machine: it is told what one look at the database's locks saw, and does no I/O.
 *
 *     hole ──seal──▶ sealed ──first look──▶ waiting for writers ──all gone──▶ waiting for prepared ──all decided──▶ proved
 *                    (a generation)         V: who holds a lock   take all P     P: who is prepared
 *                                                                  └────────────── nobody is prepared ─────────────▶ proved
 *
 * Why it is right, for an id h of a generation:
 *   (a) h was handed out no later than the counter said in a look *before* the one that supplies V, so nextval(h) had run by then.
 *   (b) nextval runs inside a statement that takes a RowExclusiveLock on the ledger before it evaluates defaults, and the lock stays
 *       to the end of its transaction or savepoint. So when V was taken, h's owner had ended or was in V.
 *   (c) An owner leaves the living only by ending or by PREPARE TRANSACTION – and is then listed under another name, which is why
 *       all that are prepared when the last of V is gone are waited for, whether they were in V or not.
 *   (d) A commit becomes visible before its locks go. So a read sent after the owner is gone sees its row, if there is one.
 * That last read is the caller's: ranges that are proved stay proved here until they no longer come back as holes.
 *
 * Generations run side by side, so that a writer that stays open for an hour keeps only what may be its own. Nothing of this is
 * stored: after a crash it begins again, later but not wrong. Where a crash of ours falls between the arrows does not matter either.
 */
import { normaliseRanges } from "../id-ranges.ts";
import type { IdRange } from "../ledger.ts";

/** What one look saw, in one statement. Transactions by their virtual transaction id. */
export interface Look {
  /** Highest id handed out. */
  readonly highestId: bigint;
  /** Who holds a writer's lock on the ledger or one of its partitions, and has a session. */
  readonly live: ReadonlySet<string>;
  /** Who holds one and is prepared: no session any more, not decided yet. */
  readonly prepared: ReadonlySet<string>;
}

type Phase =
  | { readonly kind: "sealed" }
  | { readonly kind: "waitingForWriters"; readonly writers: ReadonlySet<string> }
  | { readonly kind: "waitingForPrepared"; readonly prepared: ReadonlySet<string> }
  | { readonly kind: "proved" };

/** A part of a hole that is being proved; together they are ascending and disjoint. */
interface Piece extends IdRange {
  readonly generation: number;
}

export interface HoleProofState {
  /** Ids up to here may be sealed: the counter as the latest look saw it. null before the first look. */
  readonly sealableUpTo: bigint | null;
  readonly pieces: readonly Piece[];
  /** Generations that still have a piece. */
  readonly phases: ReadonlyMap<number, Phase>;
  readonly nextGeneration: number;
}

/** More undecided generations than this are not begun; newer holes wait for a place. */
export const generationsMax = 256;

export const nothingProved: HoleProofState = { sealableUpTo: null, pieces: [], phases: new Map(), nextGeneration: 1 };

/**
 * To be called before a look is *sent*: forgets what is no longer a hole, and makes a new generation of what is not in one yet,
 * as far as the look before says that it was handed out.
 */
export function sealHoles(state: HoleProofState, holes: readonly IdRange[]): HoleProofState {
  const isRoom = [...state.phases.values()].filter((phase) => phase.kind !== "proved").length < generationsMax;
  const sealableUpTo = isRoom ? state.sealableUpTo : null;
  const generation = state.nextGeneration;
  const pieces: Piece[] = [];
  const seal = (low: bigint, high: bigint): void => {
    if (sealableUpTo !== null && low <= sealableUpTo) pieces.push({ low, high: high < sealableUpTo ? high : sealableUpTo, generation });
  };

  let index = 0;
  for (const { low: first, high } of holes) {
    let low = first;
    for (let piece = state.pieces[index]; piece !== undefined && piece.low <= high; piece = state.pieces[index]) {
      if (piece.high >= low) {
        if (piece.low > low) seal(low, piece.low - 1n);
        const from = piece.low > low ? piece.low : low;
        const to = piece.high < high ? piece.high : high;
        pieces.push({ low: from, high: to, generation: piece.generation });
        low = to + 1n;
      }
      if (piece.high > high) break; // its rest may lie in the next hole
      index += 1;
    }
    if (low <= high) seal(low, high);
  }
  return { ...state, pieces, phases: phasesOf(pieces, state, generation), nextGeneration: generation + 1 };
}

function phasesOf(pieces: readonly Piece[], state: HoleProofState, sealed: number): ReadonlyMap<number, Phase> {
  const phases = new Map<number, Phase>();
  for (const { generation } of pieces) {
    if (phases.has(generation)) continue;
    phases.set(generation, generation === sealed ? { kind: "sealed" } : (state.phases.get(generation) as Phase));
  }
  return phases;
}

/** Takes in what a look saw that was sent after the latest `sealHoles`. */
export function applyLook(state: HoleProofState, look: Look): HoleProofState {
  const phases = new Map<number, Phase>();
  for (const [generation, phase] of state.phases) phases.set(generation, nextPhase(phase, look));
  return { ...state, sealableUpTo: look.highestId, phases };
}

function nextPhase(phase: Phase, look: Look): Phase {
  switch (phase.kind) {
    case "sealed":
      return { kind: "waitingForWriters", writers: new Set([...look.live, ...look.prepared]) };
    case "waitingForWriters":
      return isDisjoint(phase.writers, look.live) ? waitForPrepared(look.prepared) : phase;
    case "waitingForPrepared":
      return waitForPrepared(new Set([...phase.prepared].filter((transaction) => look.prepared.has(transaction))));
    case "proved":
      return phase;
  }
}

function waitForPrepared(prepared: ReadonlySet<string>): Phase {
  return prepared.size === 0 ? { kind: "proved" } : { kind: "waitingForPrepared", prepared };
}

/** The ranges that are proved dead. */
export function provedRanges(state: HoleProofState): readonly IdRange[] {
  return normaliseRanges(state.pieces.filter(({ generation }) => state.phases.get(generation)?.kind === "proved"));
}

function isDisjoint(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  for (const item of a) if (b.has(item)) return false;
  return true;
}
