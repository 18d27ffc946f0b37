/**
 * The table of messages that were given up, or wait behind one that was: a copy of each, with its place, its reason and its state.
 * Relay and inbox write it, operators decide about it. It is the second half of "nothing is dropped silently".
 *
 *                  ┌────────── redrive ──────────┐            refused again
 *     given up ──▶ dead ──▶ discarded         released ──▶ done
 *                            ▲                   ▲
 *     waits behind it ──▶ held ──────────────────┘ set by the reader, when nothing dead is before it
 *
 * A row's place is its sequence, then its order of writing; its lane is (topic, key). A held row has no reason, and keeps its place also once it is released.
 * The operator's commands do two things only: dead → released, and dead or held → discarded, each comparing the old state and
 * leaving a row in `waybill_audit`. Everything else is done by the reader that holds the lease, in units that it fences.
 */
import type { Identifier, OwnedTx, Statements } from "@waybill/sql";

/** Who gave the message up. */
export type DeadLetterOrigin = "relay" | "inbox";

export type DeadLetterState = "dead" | "held" | "released" | "done" | "discarded";

/** Who reads: a subscription of a stream (`default/default`), or a consumer. */
export interface Reader {
  readonly origin: DeadLetterOrigin;
  readonly name: string;
}

/** Messages of one lane keep their order. A message without key is a lane of its own and is never asked for by lane. */
export interface Lane {
  readonly topic: string;
  readonly key: string;
}

/** The copy that is kept: the bytes that were stored or received. */
export interface DeadLetterMessage {
  /** Its place in the lane; rows of one place keep the order in which they were written. For a relay the position in its ledger. */
  readonly sequence: bigint;
  readonly messageId: string;
  readonly type: string;
  readonly topic: string;
  readonly key: string | null;
  /** JSON text of an object of strings, as stored. */
  readonly headers: string | null;
  readonly payload: string | Uint8Array | null;
  readonly createdAtMs: number | null;
}

/** `reason` null: held; only a message with a key can be. */
export interface NewDeadLetter extends DeadLetterMessage {
  readonly reason: string | null;
  readonly attempts: number;
  /** Of type and payload, where the origin tells messages of one id apart by it; otherwise left out. */
  readonly fingerprint?: string | null;
  /** True if one of the attempts ended `unknown`: the receiver may have it. */
  readonly mayBeStored: boolean;
}

export interface DeadLetter extends NewDeadLetter {
  readonly origin: DeadLetterOrigin;
  readonly reader: string;
  readonly state: DeadLetterState;
  readonly givenUpAtMs: number;
}

/** What a look-up found about messages and lanes that were just read. */
export interface LookUp {
  /** Those that have a row in any state: finished for the ledger, never published from it. */
  readonly finished: readonly FinishedMessage[];
  /** Lanes that have an open row: dead, held or released. */
  readonly openLanes: readonly OpenLane[];
}

/** Sequence and id, for a ledger whose ids went back gives a sequence to another message. */
export type FinishedMessage = Pick<DeadLetterMessage, "sequence" | "messageId">;

/** `hasHeld`: one of its open rows has no reason, so that newer messages wait behind it whatever the key policy has become. */
export interface OpenLane extends Lane {
  readonly hasHeld: boolean;
}

/** What an acquire wants to know once. */
export interface DeadLetterSummary {
  readonly hasOpenRows: boolean;
  /** null: no row at all. */
  readonly highestSequence: bigint | null;
}

/** The statements of the table, for the engines. `tx` is a unit that the caller has fenced. */
export interface DeadLetters {
  readonly table: Identifier;
  /** Inserts copies, state `dead` with a reason and `held` without. A row that is already there is left as it is. */
  insert(tx: OwnedTx, reader: Reader, letters: readonly NewDeadLetter[]): Promise<void>;
  summary(statements: Statements, reader: Reader): Promise<DeadLetterSummary>;
  /** Topics that have a dead or released row, in no order: what a reader that stops whole topics waits for. */
  undecidedTopics(statements: Statements, reader: Reader): Promise<readonly string[]>;
  /** One index probe for all: `sequences` in any state, `lanes` with open rows. Either list may be empty. */
  lookUp(statements: Statements, reader: Reader, sequences: readonly bigint[], lanes: readonly Lane[]): Promise<LookUp>;
  /**
   * Lanes in which the reader has something to do, at most `lanesMax`: a released row with nothing dead before it, or a held one
   * with nothing dead before it. Messages without key count each for itself: `key` null, `sequence` and `messageId` its own.
   *
   * In one order that does not depend on what happens meanwhile. `after` is the last lane of the page before: a reader that goes on
   * until a page is not full has seen them all, whatever it could not do in some of them. Left out or null: from the beginning.
   */
  findReleased(statements: Statements, reader: Reader, lanesMax: number, after?: ReleasedLane | null): Promise<readonly ReleasedLane[]>;
  /**
   * Locks a released row for the rest of the unit, without waiting. False: it is not released any more, or another unit has it. For a
   * reader that has no lease, so that of several processes one at a time is at a row.
   */
  claim(tx: OwnedTx, reader: Reader, letter: DeadLetterMessage): Promise<boolean>;
  /**
   * dead → released for rows that were given up for `reason` and are of one of `types`, the first `rowsMax` by sequence: what gave them
   * up has been put right, such as a message type that nobody knew. Answers their message ids; fewer than `rowsMax`: no more for now.
   */
  releaseTypes(tx: OwnedTx, reader: Reader, reason: string, types: readonly string[], rowsMax: number): Promise<readonly string[]>;
  /**
   * Takes the open rows of a lane by sequence, up to the first dead one and at most `rowsMax`, and sets the held ones among them to
   * `released`: from here on a discard is refused, for they may be on the wire.
   */
  takeReleased(tx: OwnedTx, reader: Reader, lane: ReleasedLane, rowsMax: number): Promise<readonly DeadLetter[]>;
  /**
   * Locks released rows by sequence, at most `rowsMax`, whatever stands before them in their lanes: for a reader that keeps no order. Rows that another
   * unit has are left out. Held ones are none of it.
   */
  takeReleasedAnyhow(tx: OwnedTx, reader: Reader, rowsMax: number): Promise<readonly DeadLetter[]>;
  /** released → done, after its confirm. Answers whether the row was still released. */
  finish(tx: OwnedTx, reader: Reader, letter: DeadLetterMessage): Promise<boolean>;
  /** released → dead, refused once more; later released rows of its lane that were held go back to `held`. Answers as `finish`. */
  refuse(tx: OwnedTx, reader: Reader, letter: DeadLetterMessage, refusal: Refusal): Promise<boolean>;
  /** Number of rows by open state, each counted up to `countMax` at most. */
  counts(statements: Statements, reader: Reader, countMax: number): Promise<Readonly<Record<"dead" | "held" | "released", number>>>;
  /**
   * Removes the rows from `sequence` on that are in one of `states`, for a reader that is to publish their messages again (done), or is no more (done
   * and discarded).
   */
  removeFrom(
    tx: OwnedTx,
    reader: Reader,
    sequence: bigint,
    states: readonly [Extract<DeadLetterState, "done" | "discarded">, Extract<DeadLetterState, "done" | "discarded">?],
  ): Promise<void>;
  /** Whether the reader has any row. */
  hasAny(tx: OwnedTx, reader: Reader): Promise<boolean>;
  /** Removes decided rows (done, discarded) older than `olderThanMs`, at most `rowsMax`. Answers how many. */
  removeDecided(statements: Statements, reader: Reader, olderThanMs: number, rowsMax: number): Promise<number>;
}

/** Why a released message was given up again. */
export interface Refusal {
  readonly reason: string;
  /** Attempts since the release; they are added to those before. */
  readonly attempts: number;
  /** True if one of them ended `unknown`. Once true for a row, it stays true. */
  readonly mayBeStored: boolean;
}

/** `key` null: the single message with this sequence and id; otherwise the whole lane, `sequence` and `messageId` those of its first open row. */
export interface ReleasedLane {
  readonly topic: string;
  readonly key: string | null;
  readonly sequence: bigint;
  readonly messageId: string;
}
