/**
 * The table of copies of messages whose topic or key has waited for long (`waybill_spill`): what stands there is out of the cursor and comes
 * before anything newer of its lane. Spilled or not, a message keeps its place, its sequence.
 *
 * Written in units that lock the subscription's row under epoch and owner, by the holder of its lease alone. So what a session knows of
 * the table stays true until it ends; the next one asks anew.
 */
import { createHash } from "node:crypto";
import type { LedgerRow } from "@waybill/outbox";
import type { OwnedTx, Statements } from "@waybill/sql";

/** A message to copy out of the ledger, and what has become of it. */
export interface ToSpill {
  readonly sequence: bigint;
  readonly messageId: string;
  readonly topic: string;
  readonly key: string | null;
  readonly attempts: number;
  readonly mayBeStored: boolean;
}

/** A copy without what it carries. */
export interface SpilledHead extends ToSpill {
  readonly createdAtMs: number;
  /** Of payload, headers and key. */
  readonly bytes: number;
}

/** Where a page of heads ended: in the order of lanes, then of sequences. */
export interface SpillPlace {
  readonly lane: Uint8Array;
  /** Null: behind the whole lane. */
  readonly sequence: bigint | null;
}

/** What a look-up found about messages and lanes that were just read. */
export interface SpillLookUp {
  /** Of the sequences those that have a copy, and of which message: that one is finished for the ledger. */
  readonly spilled: readonly SpilledMessage[];
  /** Which of the lanes have a copy, by their places in the question. */
  readonly lanes: readonly number[];
}

export type SpilledMessage = Pick<ToSpill, "sequence" | "messageId">;

/** The statements of the table, for one subscription. `tx` is a unit that the caller has fenced. */
export interface Spill {
  /** Null: there is no copy. */
  highestSequence(statements: Pick<Statements, "query">): Promise<bigint | null>;
  /** The topic of the first copy whose lane lies behind `after`; null: there is none. */
  nextTopic(statements: Statements, after: Uint8Array | null): Promise<string | null>;
  /** Copies of a topic in the order of lanes, keyless ones first, and in each lane of sequences. Fewer than `rowsMax`: there are no more. */
  heads(statements: Statements, topic: string, after: SpillPlace | null, rowsMax: number): Promise<readonly SpilledHead[]>;
  /** Copies of one lane with a key, by sequence, beyond `after`. */
  headsOfLane(statements: Statements, lane: SpillLane, after: bigint | null, rowsMax: number): Promise<readonly SpilledHead[]>;
  /** Copies whole, by sequence ascending; one that is gone is missing. */
  read(statements: Statements, sequences: readonly bigint[]): Promise<readonly LedgerRow[]>;
  /** With one index probe for each. Either list may be empty. */
  lookUp(statements: Statements, sequences: readonly bigint[], lanes: readonly SpillLane[]): Promise<SpillLookUp>;
  /**
   * Copies rows of the ledger as they are, inside the database. One that has a copy keeps it. Answers those of the messages that have one now:
   * a row that is missing in the ledger has none.
   */
  copy(tx: OwnedTx, messages: readonly ToSpill[]): Promise<readonly SpilledMessage[]>;
  /** Deletes all copies. */
  clear(tx: OwnedTx): Promise<void>;
  /** Deletes the copies from a sequence on whose messages the ledger still has. What is left is all there is of its message. */
  deleteInLedger(tx: OwnedTx, from: bigint): Promise<void>;
  delete(tx: OwnedTx, messages: readonly SpilledMessage[]): Promise<void>;
}

/** A lane with a key. */
export interface SpillLane {
  readonly topic: string;
  readonly key: string;
}

/** What the copies of a topic without key are kept under, and what the lanes of its keys begin with. */
export function topicDigest(topic: string): Uint8Array {
  return createHash("sha256").update(topic).digest();
}

/** What a lane's copies are kept under: no two lanes share it, and no topic or key is too long for it. */
export function spillDigest(topic: string, key: string | null): Uint8Array {
  const ofTopic = topicDigest(topic);
  return key === null ? ofTopic : Buffer.concat([ofTopic, createHash("sha256").update(key).digest()]);
}

/** The last lane that a topic could have. */
export function lastLaneOf(topic: string): Uint8Array {
  return Buffer.concat([topicDigest(topic), Buffer.alloc(32, 0xff)]);
}
