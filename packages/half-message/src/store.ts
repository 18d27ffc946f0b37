/**
 * What the service asks of its tables about half messages. Deliveries have a port of their own.
 *
 * Every method that is given a `tx` writes in the caller's transaction; a batch holds no half message twice, and rows are locked in the order of
 * producer and id, so that batches wait for each other and never in a circle.
 */
import type { OwnedTx, Statements, Units } from "@waybill/sql";
import type { HalfMessageState, Standing, Verdict, Wish } from "./decision.ts";
import type { DueDestination } from "./delivery-store.ts";

/** A message as it is stored. */
export interface StoredMessage {
  readonly messageId: string;
  readonly type: string;
  readonly topic: string;
  readonly key: string | null;
  readonly businessKey: string | null;
  readonly delayMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
  /** A receiver is `receivers/<name>`. */
  readonly destinations: readonly string[];
}

/** A half message to be stored. */
export interface NewHalfMessage {
  readonly producer: string;
  readonly id: string;
  /** Hexadecimal. */
  readonly fingerprint: string;
  readonly barrier: string | null;
  /** null: messages of a key go out in the order of their decisions. */
  readonly orderKey: string | null;
  readonly traceparent: string | null;
  /** The key that signed the request. */
  readonly preparedBy: string;
  readonly checkAfterMs: number;
  readonly suspendAfterMs: number;
  readonly messages: readonly StoredMessage[];
}

/** What became of a prepare: the row as it stands now, and whether this call inserted it. */
export interface Prepared {
  readonly isNew: boolean;
  readonly standing: Standing;
}

/** One wish for one half message. */
export interface Request {
  readonly producer: string;
  readonly id: string;
  readonly wish: Wish;
  /** For `decided_by` and the log: `producer:<key id>`, `check:<number>`, `operator:<key id>`. */
  readonly actor: string;
  readonly reason: string | null;
  readonly checkNumber: number | null;
  /** Of a commit that carries the messages. */
  readonly body: NewHalfMessage | null;
}

/** What became of a wish: the row as it stood before (null: there was none) and as it stands now (null: there is none). */
export interface Judged {
  readonly verdict: Verdict;
  readonly before: Standing | null;
  readonly after: Standing | null;
}

export interface JudgedBatch {
  readonly judged: readonly (Judged | null)[];
  /** Where deliveries go that were made or let go by it. */
  readonly due: readonly DueDestination[];
}

export interface LogEntry {
  readonly at: string;
  readonly event: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly actor: string;
  readonly reason: string | null;
}

/** A producer with half messages that are not decided, and when the next check of one is due. */
export interface DueProducer {
  readonly producer: string;
  /** Milliseconds from now, by the database's clock; 0 or less: due. */
  readonly afterMs: number;
}

export interface ClaimedCheck {
  readonly id: string;
  readonly barrier: string | null;
  /** From 1: how many checks were made of this half message, this one included. */
  readonly checkNumber: number;
  readonly token: string;
  readonly ageMs: number;
  readonly traceparent: string | null;
}

/** A number used once, of a signed request. */
export interface Nonce {
  readonly keyId: string;
  readonly nonce: string;
  readonly expiresAfterMs: number;
}

/** Which message of a half message an operator looks into. */
export interface RevealedMessage {
  readonly producer: string;
  readonly id: string;
  readonly ordinal: number;
  readonly actor: string;
}

export interface HalfMessageStore {
  /** Inserts what is not there yet. Answers one per half message, in the same order. */
  prepare(tx: OwnedTx, halfMessages: readonly NewHalfMessage[]): Promise<readonly Prepared[]>;
  /**
   * Locks the rows, judges each wish by its row, and writes what the verdicts say: state, bodies of a commit that carried them, deliveries, log.
   * `judged`: one per request, in the same order; null: a row appeared between our look and our insert, ask again. In a unit of work `byIndex`.
   */
  judge(tx: OwnedTx, requests: readonly Request[]): Promise<JudgedBatch>;
  read(statements: Statements, producer: string, id: string): Promise<Standing | null>;
  readLog(statements: Statements, producer: string, id: string): Promise<readonly LogEntry[]>;
  list(
    statements: Statements,
    filter: {
      readonly producer: string | null;
      readonly state: HalfMessageState | null;
      readonly after: string | null;
      readonly limit: number;
    },
  ): Promise<readonly Standing[]>;
  /** The bytes of one message, and an entry in the log of who looked at them and why; null: unknown, or purged, and nothing is entered. */
  revealPayload(tx: OwnedTx, message: RevealedMessage): Promise<Uint8Array | null>;
  /** Whom a committed half message whose order is that of the prepares waits for: the first one of its key that was prepared before and is undecided. */
  findBlocker(statements: Statements, producer: string, id: string): Promise<string | null>;
  /** Counts to `max`. */
  countUndecided(statements: Statements, producer: string, max: number): Promise<number>;
  /** Milliseconds to the next deadline of a producer's prepared half messages; negative: it has passed. null: none is prepared. */
  nextDeadline(statements: Statements, producer: string): Promise<number | null>;

  /** Producers with undecided half messages, each with its next check: costs what there are producers, not what there are rows. */
  dueProducers(statements: Statements): Promise<readonly DueProducer[]>;
  /** Leases at most `max` due checks of a producer for `leaseMs`. What was claimed comes with the token that every answer must show. */
  claimChecks(units: Units, producer: string, max: number, leaseMs: number): Promise<readonly ClaimedCheck[]>;
  /** Gives checks back that were claimed and not begun: they are due at once. */
  releaseChecks(statements: Statements, producer: string, checks: readonly Pick<ClaimedCheck, "id" | "token">[]): Promise<void>;
  /** Prepared half messages whose deadline is `graceMs` past: nobody could ask for them. */
  overdue(statements: Statements, producer: string, graceMs: number, max: number): Promise<readonly string[]>;

  /** What time it is there. */
  nowMs(statements: Statements): Promise<number>;
  /** False: this number was used before. */
  useNonce(tx: OwnedTx, nonce: Nonce): Promise<boolean>;
}
