/**
 * The deliveries' tables, as decisions, the delivery loop, consumers and operators see them.
 *
 * Everybody locks in one order: half messages by producer and id, then lanes by destination and lane, then deliveries by seq. So units wait for each other
 * and never in a circle; what the server rolls back all the same is run again.
 *
 * A lease is a row's or a lane's token, measured by the database's clock. Whoever records under a token that is no longer there changes nothing.
 */
import type { OwnedTx, Statements, Units } from "@waybill/sql";
import type { AckMode, DeliveryPolicy } from "./delivery-schedule.ts";
import type { DeliveryState, DeliveryWish } from "./delivery-wish.ts";
import type { HalfMessageKey } from "./table.ts";

/** The destination of everything that goes to a receiver, whose lane is then the receiver's name. No destination may be configured under it. */
export const receiversDestination = "receivers";

/** A committed message, as far as it matters where it goes. */
export interface RoutedMessage {
  readonly producer: string;
  readonly id: string;
  readonly ordinal: number;
  readonly messageId: string;
  readonly key: string | null;
  readonly businessKey: string | null;
  /** Counts from the decision. */
  readonly delayMs: number;
  /** As resolved at prepare; a receiver is `receivers/<name>`. */
  readonly destinations: readonly string[];
}

/** A delivery as its producer sees it. */
export interface DeliveryView {
  readonly deliveryId: string;
  readonly messageId: string;
  readonly destination: string;
  readonly receiver: string | null;
  readonly state: "pending" | "awaiting_ack" | "acked" | "dead";
  readonly attempts: number;
  readonly redeliveries: number;
  readonly dueAt: string | null;
  readonly lastError: string | null;
  readonly ackedAt: string | null;
  readonly deadReason: string | null;
}

/** A delivery whose turn has come, with its message. */
export interface ClaimedDelivery {
  readonly seq: string;
  /** For the wire: `<seq>-<code>`. */
  readonly deliveryId: string;
  readonly producer: string;
  readonly halfMessageId: string;
  readonly messageId: string;
  readonly destination: string;
  readonly receiver: string | null;
  /** The lane that is held for it; null: the row itself is leased. */
  readonly lane: string | null;
  /** This one included. */
  readonly attempt: number;
  readonly redeliveries: number;
  readonly ackMode: AckMode;
  /** It was confirmed, and not acknowledged in time. */
  readonly isRedelivery: boolean;
  readonly givesUpInMs: number | null;
  /** For how long it might have gone, at the claim. */
  readonly lateMs: number;
  readonly type: string;
  readonly topic: string;
  readonly key: string | null;
  readonly businessKey: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
  readonly traceparent: string | null;
  readonly preparedAtMs: number;
}

/** What was claimed together. */
export interface Claim {
  readonly destination: string;
  readonly token: string;
  readonly deliveries: readonly ClaimedDelivery[];
  /** For each lane that is held: failures in a row before this. */
  readonly failures: ReadonlyMap<string, number>;
  /** True: as much was leased as was asked for, so more may be due, however few deliveries there are. */
  readonly isFull: boolean;
}

/** What an attempt came to, ready to be written. */
export interface DeliveryResult {
  readonly delivery: ClaimedDelivery;
  readonly next:
    | { readonly kind: "acked" }
    | { readonly kind: "awaitAck"; readonly deadlineMs: number; readonly holdsLane: boolean }
    | { readonly kind: "dead"; readonly reason: string }
    /** `holdsLane`: what comes behind it waits, too. */
    | { readonly kind: "again"; readonly afterMs: number; readonly isCharged: boolean; readonly holdsLane: boolean };
  readonly outcome: string;
  readonly error: string | null;
  readonly status: number | null;
  /** False: nothing was sent, so there is nothing to enter in the log of attempts. */
  readonly isLogged: boolean;
  readonly beganAgoMs: number;
  readonly tookMs: number;
  /** For a receiver's lane: how many failures in a row there are now, and for how long it is left alone. */
  readonly lane?: { readonly failures: number; readonly blockedMs: number };
}

export interface Recorded {
  /** Seqs of what was written. */
  readonly written: ReadonlySet<string>;
  readonly dead: readonly DeadDelivery[];
}

/** A delivery that was given up. */
export interface DeadDelivery {
  readonly seq: string;
  readonly deliveryId: string;
  readonly producer: string;
  readonly halfMessageId: string;
  readonly messageId: string;
  readonly destination: string;
  readonly receiver: string | null;
  readonly attempts: number;
  readonly from: DeliveryState;
  readonly reason: string;
  readonly actor: string;
}

/** What else is written when deliveries die, in the same transaction. */
export type WriteDead = (tx: OwnedTx, dead: readonly DeadDelivery[]) => Promise<void>;

export interface WishFor {
  readonly deliveryId: string;
  readonly wish: DeliveryWish;
}

export interface ChangeOptions {
  /** For the row and the log: `consumer:<key id>`, `operator:<key id>`. */
  readonly actor: string;
  readonly reason: string | null;
  /** False: whoever asks has nothing to do with this destination, and learns nothing of its deliveries. */
  readonly mayTouch: (destination: string) => boolean;
  readonly policyOf: (destination: string) => Pick<DeliveryPolicy, "backoff" | "maxRedeliveries" | "giveUpAfterMs"> | null;
  readonly writeDead?: WriteDead;
}

export interface ChangedDelivery {
  readonly deliveryId: string;
  /** As it stands now. */
  readonly state: DeliveryState;
  readonly isApplied: boolean;
  /** It was dead when it was acknowledged. */
  readonly isLate: boolean;
  /** It died of this. */
  readonly dead: { readonly destination: string; readonly reason: string } | null;
}

/** A delivery with all that may be told of it. */
export interface ShownDelivery extends DeliveryView {
  readonly seq: string;
  readonly producer: string;
  readonly halfMessageId: string;
  readonly businessKey: string | null;
  readonly ackMode: AckMode;
  readonly createdAt: string;
  readonly lastAt: string | null;
  readonly lastOutcome: string | null;
  readonly ackedBy: string | null;
  readonly deadAt: string | null;
}

export interface ShownAttempt {
  readonly attempt: number;
  readonly startedAt: string;
  readonly tookMs: number;
  readonly outcome: string;
  readonly status: number | null;
  readonly error: string | null;
}

/** An entry in the log of decisions that is about a delivery. */
export interface DeliveryLogEntry {
  readonly seq: string;
  readonly producer: string;
  readonly id: string;
  readonly event: "dead" | "redriven" | "given_up" | "force_acked";
  readonly from: DeliveryState;
  readonly to: DeliveryState;
  readonly actor: string;
  readonly reason: string | null;
}

export interface ClaimOptions {
  readonly destination: string;
  /** How many at most. */
  readonly limit: number;
  readonly leaseMs: number;
  /** When a lane is looked at again whose next message waits for an earlier prepare. Its decision makes it due at once. */
  readonly heldMs: number;
}

export interface NotificationClaimOptions {
  readonly destination: string;
  readonly limit: number;
  readonly leaseMs: number;
  readonly perLane: { readonly usual: number; readonly failing: number; readonly failuresMax: number };
}

/** Where something waits, the earliest of it. */
export interface DueDestination {
  readonly destination: string;
  /** Milliseconds from now, by the database's clock; 0 or less: due. */
  readonly afterMs: number;
}

export interface DeliveryStore {
  /**
   * In the transaction of decisions: the deliveries of these messages, in their order, and their lanes. Whoever waits behind one of `decided`, for the
   * order of prepares, is due.
   */
  insert(tx: OwnedTx, messages: readonly RoutedMessage[], decided?: readonly HalfMessageKey[]): Promise<readonly DueDestination[]>;
  /** Which of these receivers are registered. */
  findReceivers(statements: Statements, names: readonly string[]): Promise<ReadonlySet<string>>;
  /** The deliveries of a half message, oldest first, at most 1 000. */
  list(statements: Statements, producer: string, id: string): Promise<readonly DeliveryView[]>;

  /** How many deliveries to a destination are not done; counts no further than a few ten thousand. */
  countOpen(statements: Statements, destination: string): Promise<number>;
  /** Where something is or will be due. */
  due(statements: Statements): Promise<readonly DueDestination[]>;
  /** Whether a service has tried in vain to deliver there lately: it is configured somewhere, and fails. */
  wasTried(statements: Statements, destination: string, withinMs: number): Promise<boolean>;
  /** Leases lanes, and deliveries without one, and counts an attempt at each; at most one delivery of a lane. */
  claim(units: Units, options: ClaimOptions): Promise<Claim>;
  /**
   * As `claim`, for lanes that are taken by time and not by place: at most `limit` of them, of each as many deliveries as `perLane` says – fewer of one that
   * has failed `failuresMax` times in a row. A claim for each lane.
   */
  claimNotifications(units: Units, options: NotificationClaimOptions): Promise<readonly Claim[]>;
  /** Writes what attempts came to, frees their lanes, and lets `writeDead` write in the same transaction about those that are dead by it. */
  record(
    units: Units,
    claim: Claim,
    results: readonly DeliveryResult[],
    writeDead?: WriteDead,
    /** What else is written in the same transaction. */
    alsoWrite?: (tx: OwnedTx) => Promise<void>,
  ): Promise<Recorded>;

  /** Changes deliveries by what consumers and operators wish, in the caller's transaction; null: there is none of that id that the caller may touch. */
  change(tx: OwnedTx, wishes: readonly WishFor[], options: ChangeOptions): Promise<readonly (ChangedDelivery | null)[]>;
  logDecisions(tx: OwnedTx, entries: readonly DeliveryLogEntry[]): Promise<void>;
  /** Ids of dead deliveries, those first that died first. */
  findDead(statements: Statements, destination: string, limit: number): Promise<readonly string[]>;
  search(
    statements: Statements,
    filter: {
      readonly destination: string | null;
      readonly state: DeliveryState | null;
      readonly afterSeq: string;
      readonly limit: number;
    },
  ): Promise<readonly ShownDelivery[]>;
  searchNotifications(
    statements: Statements,
    filter: {
      readonly receiver: string;
      readonly businessKey: string | null;
      readonly messageId: string | null;
      readonly state: DeliveryState | null;
      readonly afterSeq: string;
      readonly limit: number;
    },
  ): Promise<readonly ShownDelivery[]>;
  /** The bytes of a delivery's message; null: they were purged. */
  payload(statements: Statements, seq: string): Promise<Uint8Array | null>;
  /** The last first. */
  attempts(statements: Statements, seq: string): Promise<readonly ShownAttempt[]>;
}

/** What a decision must know of a destination. */
export type DestinationRules = Pick<DeliveryPolicy, "ack" | "ordering" | "giveUpAfterMs">;
