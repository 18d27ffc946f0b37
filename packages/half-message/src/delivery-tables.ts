/**
 * The statements about deliveries and lanes, one method each: what `createDeliveryStore` is made of, and what the two dialects say differently.
 * Every method runs in the unit it is given; lists are never empty.
 */
import type { OwnedTx, Row, Statements } from "@waybill/sql";
import type { AckMode } from "./delivery-schedule.ts";
import type { DeliveryLogEntry, DeliveryStore } from "./delivery-store.ts";
import type { DeliveryChange } from "./delivery-wish.ts";
import type { HalfMessageKey } from "./table.ts";

export interface NewDelivery {
  readonly code: string;
  readonly producer: string;
  readonly id: string;
  readonly ordinal: number;
  readonly messageId: string;
  readonly destination: string;
  readonly receiver: string | null;
  readonly businessKey: string | null;
  readonly ackMode: AckMode;
  readonly lane: string | null;
  readonly delayMs: number;
  readonly giveUpMs: number | null;
}

export interface TouchedLane {
  readonly destination: string;
  readonly lane: string;
  readonly afterMs: number;
}

export interface LeasedLane {
  readonly lane: string;
  readonly failures: number;
}

export interface FreedLane {
  readonly lane: string;
  readonly blockedMs: number;
  readonly afterMs: number;
  readonly failures: number;
}

/** What is written about an attempt; see the statement. */
export interface RecordedRow {
  readonly seq: string;
  readonly attempt: number;
  readonly isInLane: boolean;
  readonly state: "pending" | "awaiting_ack" | "acked" | "dead";
  readonly keepsLane: boolean;
  readonly dueMs: number | null;
  readonly notBeforeMs: number | null;
  readonly givenBack: 0 | 1;
  readonly outcome: string;
  readonly error: string | null;
  readonly ackedBy: string | null;
  readonly deadReason: string | null;
}

export interface AttemptRow {
  readonly seq: string;
  readonly attempt: number;
  readonly agoMs: number;
  readonly tookMs: number;
  readonly outcome: string;
  readonly status: number | null;
  readonly error: string | null;
}

/** A change of a row that is locked; see the statement. */
export interface ChangedRow extends Omit<DeliveryChange, "laneAfterMs"> {
  readonly seq: string;
  readonly ackedBy: string | null;
}

export interface DeliveryTables
  extends Pick<
    DeliveryStore,
    "list" | "search" | "searchNotifications" | "attempts" | "countOpen" | "payload" | "findDead" | "findReceivers"
  > {
  touchLanes(tx: OwnedTx, lanes: readonly TouchedLane[]): Promise<void>;
  /** Touches the lanes first: rows get their seq while their lanes are locked. */
  insert(tx: OwnedTx, lanes: readonly TouchedLane[], deliveries: readonly NewDelivery[]): Promise<void>;

  /** Before leases and after them: PostgreSQL would sort all that is due for want of statistics. Elsewhere nothing. */
  walkDueIndex(tx: OwnedTx, isOn: boolean): Promise<void>;
  leaseLanes(tx: OwnedTx, destination: string, limit: number, leaseMs: number, token: string): Promise<readonly LeasedLane[]>;
  /** Answers seqs. */
  leaseRows(tx: OwnedTx, destination: string, limit: number, leaseMs: number, token: string): Promise<readonly string[]>;
  findHeads(
    tx: OwnedTx,
    destination: string,
    lanes: readonly string[],
  ): Promise<readonly { readonly lane: string; readonly seq: string }[]>;
  findNotifications(
    tx: OwnedTx,
    destination: string,
    lanes: readonly string[],
    perLane: number,
  ): Promise<readonly { readonly lane: string; readonly seq: string }[]>;
  firstPrepared(
    tx: OwnedTx,
    place: { readonly destination: string; readonly lane: string; readonly producer: string; readonly key: string },
  ): Promise<{ readonly seq: string; readonly blockedBy: string | null } | null>;
  /** Bytes by seq; 0 for what was purged. */
  sizes(tx: OwnedTx, seqs: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Of rows that were leased by themselves. */
  giveBackRows(tx: OwnedTx, seqs: readonly string[]): Promise<void>;
  charge(tx: OwnedTx, seqs: readonly string[]): Promise<void>;
  read(tx: OwnedTx, seqs: readonly string[]): Promise<readonly Row[]>;

  lockLanes(tx: OwnedTx, destination: string, lanes: readonly string[], token: string): Promise<readonly string[]>;
  /** Answers the seqs that were still as claimed. */
  record(tx: OwnedTx, rows: readonly RecordedRow[], token: string): Promise<readonly string[]>;
  noteConfirmed(tx: OwnedTx, seqs: readonly string[]): Promise<void>;
  logAttempts(tx: OwnedTx, attempts: readonly AttemptRow[]): Promise<void>;
  nextOfLanes(
    tx: OwnedTx,
    destination: string,
    lanes: readonly string[],
  ): Promise<readonly { readonly lane: string; readonly afterMs: number | null }[]>;
  removeLanes(tx: OwnedTx, destination: string, lanes: readonly string[]): Promise<void>;
  freeLanes(tx: OwnedTx, destination: string, lanes: readonly FreedLane[]): Promise<void>;

  /** As they stand, in the order of seq; nothing is locked. */
  find(tx: OwnedTx, seqs: readonly string[]): Promise<readonly Row[]>;
  lockRows(tx: OwnedTx, seqs: readonly string[]): Promise<readonly Row[]>;
  /** Locks lanes, whoever holds them. */
  holdLanes(
    tx: OwnedTx,
    destination: string,
    lanes: readonly string[],
  ): Promise<readonly { readonly lane: string; readonly isLeased: boolean }[]>;
  change(tx: OwnedTx, rows: readonly ChangedRow[]): Promise<void>;
  logDecisions(tx: OwnedTx, entries: readonly DeliveryLogEntry[]): Promise<void>;
  orderedLanes(
    tx: OwnedTx,
    keys: readonly HalfMessageKey[],
  ): Promise<readonly { readonly key: string; readonly destinations: readonly string[] }[]>;
  wakeLane(tx: OwnedTx, destination: string, lane: string): Promise<void>;

  wasTried(statements: Statements, destination: string, withinMs: number): Promise<boolean>;
  dueDestinations(statements: Statements): Promise<readonly { readonly destination: string; readonly afterMs: number }[]>;
}
