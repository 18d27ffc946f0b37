/**
 * What is known about a run once everything was stopped. One history covers one stream of one ledger with all that reads it;
 * a system of several ledgers has several histories, and `combineVerdicts` puts their verdicts together.
 *
 * Nothing here comes from a counter of the code under test: rows are read from the databases, records from a log the
 * destination keeps, intents from a journal the writers sync to disk themselves.
 */
export interface History {
  /** What the writers meant and learnt. A ledger row without an intent is legal (its writer kept no journal): it is committed. */
  readonly intents: readonly Intent[];
  /**
   * Message ids whose business row is there, of all writers that kept a journal. Without it half-done transactions cannot be
   * seen, and a run with unknown outcomes is inconclusive.
   */
  readonly businessRows?: readonly string[];
  /** Every row of the ledger, in any order. Do not let retention run during a run that is to be judged. */
  readonly ledger: readonly LedgerRow[];
  /** Every reader of the ledger. A record by a reader that is not declared here is an input error. */
  readonly subscriptions: readonly SubscriptionState[];
  /** What the destinations received, repetitions included, in order of arrival (it must be true within a subscription's key). */
  readonly received: readonly Received[];
  /** Rows of the dead-letter table, of relays and inboxes. */
  readonly deadLetters: readonly DeadLetter[];
  /** Inboxes that must have an effect for each message. An effect of an inbox that is not declared here is an input error. */
  readonly consumers: readonly Consumer[];
  /** Committed effects in order of commit (it must be true within a consumer's key). Read them from the business tables. */
  readonly effects: readonly Effect[];
  /** The inboxes' dedupe rows. If given, each must have its effect and each effect its row: they commit together. */
  readonly handled?: readonly Handled[];
  /** Topics whose writers do not exclude each other: order was promised to none of them, and none is judged. Default: none. */
  readonly unorderedTopics?: readonly string[];
  /** What the harness did to the run. Only faults whose effect was seen count as effort. */
  readonly faults?: readonly Fault[];
  /** How often another holder took a subscription over. */
  readonly takeovers?: number;
}

/** How a writer's transaction ended. `unknown`: the writer was killed, or the reply to its commit was lost. */
export type TransactionOutcome = "committed" | "rolledBack" | "unknown";

/** One message a writer meant to append, with what it learnt about its transaction. At most one intent per message id. */
export interface Intent {
  readonly messageId: string;
  readonly topic: string;
  readonly key: string | null;
  readonly outcome: TransactionOutcome;
  /** If given, the stored bytes must have it (see `digest`). */
  readonly payloadDigest?: string;
  /**
   * The message's place among those of its topic and key, taken under the lock that makes the key's writers exclude each other
   * (a version column, say). If given, ledger order must agree.
   */
  readonly order?: number;
}

/** A row of the ledger. One whose type and topic are both empty is a fence, not a message, and only counts as something to read. */
export interface LedgerRow {
  readonly sequence: bigint;
  readonly messageId: string;
  readonly type: string;
  readonly topic: string;
  readonly key: string | null;
  readonly payloadDigest: string;
}

/** One publication as its destination saw it. What the destination cannot tell is left out and not compared. */
export interface Received {
  readonly subscription: string;
  readonly messageId: string;
  readonly payloadDigest: string;
  readonly topic?: string;
  readonly key?: string | null;
  readonly sequence?: bigint | null;
}

/**
 * What waits for a dead letter's later neighbours, and therefore what order promises. `hold`, `stop`: first publications of a
 * key in ledger order, only discarded ones missing. `skip`: ledger order among messages that were never dead letters.
 */
export type KeyPolicy = "hold" | "skip" | "stop";

/** A reader of the ledger and where its cursor stood after everything was stopped. */
export interface SubscriptionState {
  readonly subscription: string;
  readonly lastId: bigint;
  /** Stored ranges, both ends included: open holes and ids read but not confirmed. */
  readonly openRanges: readonly IdRange[];
  readonly owner: string | null;
  /** The lease had not run out, by the database's clock. */
  readonly isLeaseValid: boolean;
  /** Messages copied aside and not published. Default 0. */
  readonly spilled?: number;
  /** Topics it publishes; others it reads and passes by. Default: all. */
  readonly topics?: readonly string[];
  /** Default `hold`. */
  readonly keyPolicy?: KeyPolicy;
}

/** Ids from `lo` to `hi`, both included. */
export interface IdRange {
  readonly lo: bigint;
  readonly hi: bigint;
}

/** `dead` and `held` wait for a decision; `released` is on its way again; `done` was published or handled after all; `discarded` is closed. */
export type DeadLetterState = "dead" | "held" | "released" | "done" | "discarded";

/** A message given up, or held behind one. */
export interface DeadLetter {
  /** Who wrote it; a subscription and an inbox may have the same name. */
  readonly origin: "relay" | "inbox";
  /** The subscription or the consumer. */
  readonly reader: string;
  readonly messageId: string;
  readonly state: DeadLetterState;
  readonly payloadDigest?: string;
}

/** An inbox by the name under which it dedupes. */
export interface Consumer {
  readonly consumer: string;
  /** The subscription it is fed by: what that one gave up never came here. Default: any of them may be the one. */
  readonly subscription?: string;
  /** Topics of which each message must have its effect. Default: all. */
  readonly topics?: readonly string[];
  /** Default `hold`. */
  readonly keyPolicy?: KeyPolicy;
}

/** A committed effect of a message. Several entries for one message and consumer, or a count above 1, are a double effect. */
export interface Effect {
  readonly consumer: string;
  readonly messageId: string;
  /** How often the effect is there, for tables that add up instead of listing. Default 1. */
  readonly count?: number;
  readonly payloadDigest?: string;
}

/** A dedupe row of an inbox. */
export interface Handled {
  readonly consumer: string;
  readonly messageId: string;
}

/** Something the harness did. A kill that hit an already stopped process, or a cut nobody noticed, was not observed. */
export interface Fault {
  readonly kind: string;
  readonly isObserved: boolean;
}
