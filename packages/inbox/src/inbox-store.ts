/**
 * What an inbox keeps in its database, and may ask of it: one row for each handled message, and counts of attempts at those that are
 * not handled yet. All of it belongs to one consumer.
 *
 * A store opens nothing and ends nothing: what must commit together with the handler is given its unit, everything else is one
 * statement, and so a transaction of itself, or where one cannot do it a unit of its own.
 */
import type { EntityVersion } from "@waybill/core";
import type { Lane } from "@waybill/dead-letter";
import type { OwnedTx, Statements, Units } from "@waybill/sql";

/** Attempts at a message that is not handled yet. Those that neither failed nor ended well ended with their process. */
export interface Attempts {
  readonly started: number;
  readonly failed: number;
}

/** A message by what makes it the same message. */
export interface MessagePrint {
  readonly messageId: string;
  /** Of type and payload. */
  readonly fingerprint: string;
}

export interface Claim extends MessagePrint {
  /** null: it waits for no other. */
  readonly lane: Lane | null;
  /** True: behind any open dead letter of its lane it waits. False: only behind one that is held, be it behind another or by its handler. */
  readonly waitsBehindDead: boolean;
  /** By its producer's clock; null if unknown, and then never too old. */
  readonly createdAtMs: number | null;
  readonly retentionMs: number;
}

/** What is known about a message before it is handled. In doubt the first that applies, in this order, decides. */
export type Claimed =
  /** A message with this id was handled. */
  | { readonly kind: "handled"; readonly isSameContent: boolean }
  /** A message with this id is, or was, a dead letter. */
  | { readonly kind: "onFile"; readonly isSameContent: boolean }
  /** An earlier message of its lane is a dead letter and undecided. */
  | { readonly kind: "mustWait" }
  /** It is older than the retention: whether it was handled cannot be told any more. */
  | { readonly kind: "tooOld" }
  /** Nobody handled it, and it is ours for this unit: if the unit commits it is handled. */
  | { readonly kind: "claimed" };

export interface InboxStore {
  /**
   * Finds out what is known about a message and, if nothing speaks against it, inserts its row. A unit that is inserting the same row
   * is waited for: at most one of several commits it.
   */
  claim(tx: OwnedTx, claim: Claim): Promise<Claimed>;
  /**
   * As `claim`, for several messages at once, no id twice: what is known about each, in their order. Those that something speaks against have
   * no row afterwards, but for those that were handled. None of them counts for the others: a message that must not be run keeps those
   * behind it from being run only if the caller sees to it.
   */
  claimAll(tx: OwnedTx, claims: readonly Claim[]): Promise<readonly Claimed[]>;
  /**
   * Inserts the row of a message, whatever the dead letters say: for those that are redriven or put aside. Waits as `claim` does.
   * Answers `claimed` or `handled`.
   */
  claimAnyway(tx: OwnedTx, print: MessagePrint): Promise<Extract<Claimed, { kind: "handled" | "claimed" }>>;
  /** Removes the row that this unit inserted: the message is put aside instead. */
  unclaim(tx: OwnedTx, messageId: string): Promise<void>;
  /** As `unclaim`, for several. */
  unclaimAll(tx: OwnedTx, messageIds: readonly string[]): Promise<void>;
  /** The messages that were handled, with this content: true or false for each, in their order. False may become true while a unit is open. */
  areHandled(statements: Statements, prints: readonly MessagePrint[]): Promise<readonly boolean[]>;

  /**
   * Whether another unit has inserted the row of a message and not ended yet: somebody is handling it. In a unit of its own that waits for
   * the other half a second at most, and keeps nothing.
   */
  isBeingClaimed(units: Units, print: MessagePrint): Promise<boolean>;

  /**
   * Raises the versions that are kept of entities to the highest given, where that is higher. Answers for each given version, in their order, whether it is
   * higher than what was kept and all given before it of the same entity. A unit that raises one of the same is waited for a moment, on MySQL only if it began
   * in the same moment; then this one is rolled back.
   */
  raiseVersions(tx: OwnedTx, versions: readonly EntityVersion[]): Promise<readonly boolean[]>;

  /** The counts so far, or null. Changes nothing. */
  readAttempts(statements: Statements, messageId: string): Promise<Attempts | null>;
  /** Counts the start of an attempt. Answers the counts with it; null, and counts nothing, if the message is handled. */
  startAttempt(database: Statements & Units, messageId: string): Promise<Attempts | null>;
  /**
   * Counts an attempt that failed, and its start if that was not counted. `isFailed` false: only the start, as of an attempt that
   * ended with its process.
   */
  countAttempt(
    database: Statements & Units,
    messageId: string,
    attempt: { readonly isStartCounted: boolean; readonly isFailed: boolean },
  ): Promise<Attempts>;
  /** Takes a counted start back: we stopped it ourselves. */
  withdrawStart(statements: Statements, messageId: string): Promise<void>;
  /** Forgets the attempts at a message, in the unit that handles it or puts it aside. */
  clearAttempts(tx: OwnedTx, messageId: string): Promise<void>;

  /** Removes rows of messages handled more than `olderThanMs` ago by the database's clock, the oldest, at most `rowsMax`. Answers how many. */
  removeHandled(statements: Statements, olderThanMs: number, rowsMax: number): Promise<number>;
  /** The same for attempts that nobody has counted at for so long. */
  removeAttempts(statements: Statements, olderThanMs: number, rowsMax: number): Promise<number>;
}
