/**
 * What a relay may ask of a ledger: an append-only table whose rows are never updated, claimed or deleted one by one.
 *
 * Ids are handed out before commit, so an id below one that was read may show up later, or never. Such ids are *holes*: they are
 * read again with every read until their row appears, or until they are proved dead. The reader's cursor – last id and holes – is
 * the reader's own; a ledger keeps no state about who has read it.
 */
import type { Clock } from "@waybill/core";
import type { Connection } from "@waybill/sql";

/** Ids from `low` to `high`, both included. Lists of ranges are ascending and disjoint. */
export interface IdRange {
  readonly low: bigint;
  readonly high: bigint;
}

/** A row as it was read; nothing in it is parsed but its id and time. */
export interface LedgerRow {
  readonly id: bigint;
  readonly messageId: string;
  readonly type: string;
  readonly topic: string;
  readonly key: string | null;
  /** The stored JSON text, not parsed: a row written by hand may hold anything. */
  readonly headers: string | null;
  /** The bytes as they are sent, of text its UTF-8; null: a tombstone, or left behind (see `leftBytes`). */
  readonly payload: Uint8Array | null;
  /** `payload` was stored as text, and is to be stored so wherever it is copied. */
  readonly isText: boolean;
  /**
   * Not null: the payload is larger than `payloadBytesInlineMax` and was left in the database, so that a batch has a bound in bytes.
   * It takes this many bytes; `readIds` brings it. The row is known to be visible, so a statement of its own is safe.
   */
  readonly leftBytes: number | null;
  /** Milliseconds since 1970; a time before the year 0 or after 9999, which nobody should have written, is read as the nearest in between. */
  readonly createdAtMs: number;
}

/** Payloads above this stay in the database until their turn: 5 000 rows of a batch are then at most 80 MB. */
export const payloadBytesInlineMax = 16_384;

export interface ReadRequest {
  /** Highest id read so far. */
  readonly lastId: bigint;
  /** Ids at or below `lastId` that were skipped. */
  readonly holes: readonly IdRange[];
  readonly rowsMax: number;
  /** True: nothing beyond `lastId` is read. For a reader that has no room for new ids but still waits for holes. */
  readonly areHolesOnly: boolean;
  readonly deadlineMs: number;
}

export interface LookAheadRequest {
  readonly afterId: bigint;
  readonly topic: string;
  readonly rowsMax: number;
  readonly deadlineMs: number;
}

/** What lies behind an id, without its rows. */
export interface Ahead {
  /** The last id that was looked at; null: there is nothing. */
  readonly toId: bigint | null;
  /** Up to there messages of another topic lie. */
  readonly hasOtherTopics: boolean;
}

/** The first rows, ascending by id, of everything that was not read yet. */
export interface LedgerBatch {
  readonly rows: readonly LedgerRow[];
  /** True if the search ended among the holes, for `rowsMax` or for their number: what lies beyond says nothing about them. */
  readonly areHolesCut: boolean;
}

/** What must be true of the database before a relay trusts its memory of it. */
export interface LedgerFacts {
  /** In recovery, or read-only. */
  readonly isReadOnly: boolean;
  /** Highest id handed out so far. A cursor beyond it means that ids went back. */
  readonly highestId: bigint;
  /** Up to which id history was removed. Every cursor has passed it; beyond `highestId` it tells that ids went back. */
  readonly removedTo: bigint;
  /** What is wrong with how ids are handed out or text is stored; null if nothing is. */
  readonly unsafe: string | null;
  /** Settings that cost, or that promise less than this ledger could: nothing is lost by them that the relay could keep. */
  readonly warnings: readonly string[];
  /** Server and timeline: changes on failover and restore. */
  readonly serverIdentity: string;
  /** The random id given to the ledger when it was made. */
  readonly ledgerIdentity: string;
  /** The database's clock, milliseconds since 1970. */
  readonly nowMs: number;
}

export interface Ledger {
  /** With more holes than this a read brings nothing beyond `lastId`: order hangs on all of them being read. */
  readonly holesMax: number;
  /**
   * Reads holes and what lies beyond `lastId` with ONE statement: with two, a row that commits in between is seen while an earlier
   * one of its key is not, and they are published the wrong way round.
   */
  read(connection: Connection, request: ReadRequest): Promise<LedgerBatch>;
  /** Reads rows that are known to be visible again, payloads whole. `ids` are ascending, and so is the answer. Rows that retention removed are missing. */
  readIds(connection: Connection, ids: readonly bigint[], options: { readonly deadlineMs: number }): Promise<readonly LedgerRow[]>;
  /** Looks at the topics of the next rows behind an id, which is much less than reading them. For whoever would rather read them later. */
  lookAhead(connection: Connection, request: LookAheadRequest): Promise<Ahead>;
  facts(connection: Connection, options: { readonly deadlineMs: number }): Promise<LedgerFacts>;
  /** Begins to prove holes dead. Its state is memory of one acquired lease; throw it away with the rest of it. */
  beginHoleProof(options?: HoleProofOptions): HoleProof;
}

/** For a ledger that cannot see who may still fill a hole, and so takes the id itself (MySQL, MariaDB). PostgreSQL needs none of it. */
export interface HoleProofOptions {
  /**
   * Milliseconds, by our monotonic clock, for which a hole is left to its writer. Default 30 000. More keeps holes for longer; less makes more
   * writers that stall meet a row of ours: their insert fails with a duplicate key and is repeated.
   */
  readonly fenceAfterMs?: number;
  /** Default: the host's. */
  readonly clock?: Clock;
  readonly onFence?: (report: FenceReport) => void;
}

/**
 * What a ledger that takes ids itself does beside answering. `fencing`: now these ids are taken; `fenced`: they are, and come with the
 * next read, as rows without type and topic; `tooLong`: ranges of more than a million ids were kept – somebody must look where they came from.
 */
export type FenceReport =
  | { readonly kind: "fencing"; readonly ids: number }
  | { readonly kind: "fenced"; readonly ids: number }
  | { readonly kind: "tooLong"; readonly ranges: number; readonly ids: bigint };

export interface HoleProof {
  /**
   * Looks once after `holes` and answers those that are proved dead. They may be forgotten only after a read that
   * was *sent* after this answer, and whose holes were not cut, has been applied: a commit becomes visible before its locks go,
   * so whatever the proof missed is in that read.
   *
   * On PostgreSQL it looks at who could still fill them. On MySQL and MariaDB nobody can know, so holes that are old enough are ended by a
   * row of our own, a *fence*, which comes with the next read and needs no proof.
   *
   * @throws WAYBILL_READ_ONLY if the server is read-only: nothing can be proved on a standby
   */
  look(connection: Connection, holes: readonly IdRange[], options: { readonly deadlineMs: number }): Promise<readonly IdRange[]>;
}
