/**
 * The rows of half messages, their bodies and the log of decisions, statement by statement: what each database says in its own words. What they
 * are made to say together stands in `create-store.ts`.
 */
import type { OwnedTx, Statements, Units } from "@waybill/sql";
import type { Decided, HalfMessageState, Standing } from "./decision.ts";
import type { RoutedMessage } from "./delivery-store.ts";
import type { ClaimedCheck, DueProducer, LogEntry, NewHalfMessage, Nonce } from "./store.ts";

/** Which half message. */
export interface HalfMessageKey {
  readonly producer: string;
  readonly id: string;
}

/** A new row, with the token by which its inserter knows it again. */
export interface NewRow {
  readonly halfMessage: NewHalfMessage;
  readonly prepareToken: string;
}

/** A row that is decided when it is made. */
export interface NewDecidedRow extends HalfMessageKey {
  readonly to: Decided;
  readonly actor: string;
  readonly keyId: string;
  readonly prepareToken: string;
  /** Of a commit that carried the messages. */
  readonly body: NewHalfMessage | null;
}

/** A decision about a row that is locked, with what the log says of it. */
export interface DecidedRow extends HalfMessageKey {
  readonly version: number;
  readonly from: HalfMessageState;
  readonly to: Decided;
  readonly actor: string;
  /** For `last_check`, if a check decided; else null. */
  readonly lastCheck: string | null;
  readonly reason: string | null;
  readonly checkNumber: number | null;
}

/** What was decided. */
export interface DecidedRows {
  /** When, by the database's clock. Fewer than asked for: one was not in the version it was locked in. */
  readonly decided: readonly (HalfMessageKey & { readonly decidedAtMs: number })[];
  /** Of those that are committed, by producer, id and ordinal. */
  readonly messages: readonly RoutedMessage[];
}

/** What a check left in a row that is locked. */
export interface CheckedRow extends HalfMessageKey {
  readonly version: number;
  readonly isAnswered: boolean;
  readonly lastCheck: string;
  readonly checkAfterMs: number | null;
  readonly notFound: "begins" | "goesOn" | "ends";
  readonly isSuspended: boolean;
}

export interface NewLogEntry extends HalfMessageKey {
  readonly event: string;
  readonly from: HalfMessageState | null;
  readonly to: HalfMessageState | null;
  readonly actor: string;
  readonly reason: string | null;
  readonly checkNumber: number | null;
}

export interface HalfMessageTable {
  /** Inserts the rows that are not there, with their bodies, waiting for whoever is inserting the same. Answers these as they stand, and maybe others of them. */
  insertNew(tx: OwnedTx, rows: readonly NewRow[]): Promise<readonly Standing[]>;
  /** Inserts those that are not there, decided at once, without bodies. */
  insertDecided(tx: OwnedTx, rows: readonly NewDecidedRow[], purgeAfterMs: number): Promise<void>;
  insertBodies(tx: OwnedTx, halfMessages: readonly NewHalfMessage[]): Promise<void>;
  insertLog(tx: OwnedTx, entries: readonly NewLogEntry[]): Promise<void>;
  /** In no order. */
  read(statements: Pick<Statements, "query">, keys: readonly HalfMessageKey[]): Promise<readonly Standing[]>;
  /** Locks in the order of producer and id; in no order. */
  lock(tx: OwnedTx, keys: readonly HalfMessageKey[]): Promise<readonly Standing[]>;
  /** Decides, and enters it in the log. */
  decide(tx: OwnedTx, rows: readonly DecidedRow[], purgeAfterMs: number): Promise<DecidedRows>;
  checked(tx: OwnedTx, row: CheckedRow): Promise<number>;
  extend(tx: OwnedTx, key: HalfMessageKey, forMs: number): Promise<number>;
  suspend(tx: OwnedTx, key: HalfMessageKey, checkAfterMs: number | null): Promise<number>;
  resume(tx: OwnedTx, key: HalfMessageKey, suspendAfterMs: number): Promise<number>;
  checkNow(tx: OwnedTx, key: HalfMessageKey): Promise<number>;
  /** By producer, id and ordinal. */
  readRouted(tx: OwnedTx, keys: readonly HalfMessageKey[]): Promise<readonly RoutedMessage[]>;

  readLog(statements: Statements, key: HalfMessageKey): Promise<readonly LogEntry[]>;
  list(
    statements: Statements,
    producer: string,
    state: HalfMessageState | null,
    after: string,
    limit: number,
  ): Promise<readonly Standing[]>;
  listAll(statements: Statements, state: HalfMessageState | null, after: HalfMessageKey, limit: number): Promise<readonly Standing[]>;
  readPayload(statements: Pick<Statements, "query">, key: HalfMessageKey, ordinal: number): Promise<Uint8Array | null>;
  findBlocker(statements: Statements, key: HalfMessageKey): Promise<string | null>;
  countUndecided(statements: Statements, producer: string, max: number): Promise<number>;

  nextDeadline(statements: Statements, producer: string): Promise<number | null>;
  dueProducers(statements: Statements): Promise<readonly DueProducer[]>;
  claimChecks(units: Units, producer: string, max: number, leaseMs: number, token: string): Promise<readonly ClaimedCheck[]>;
  releaseCheck(statements: Statements, key: HalfMessageKey, token: string): Promise<void>;
  overdue(statements: Statements, producer: string, graceMs: number, max: number): Promise<readonly string[]>;

  nowMs(statements: Statements): Promise<number>;
  /** False: it was there. */
  insertNonce(tx: OwnedTx, nonce: Nonce): Promise<boolean>;
}
