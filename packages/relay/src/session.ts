/**
 * What is true under one lease: the cursor, the lanes, the connections, the right to act. It ends as a whole.
 *
 * Rule R1: every reconnect, database error, lost lease, changed server, or transport that throws ends the session; all its memory is
 * dropped, and the next one begins with the saved cursor. There is no other way to go on, so there is no half-remembered state
 * to reason about.
 */
import { type Clock, emit, type OnEvent, type RelayEvent } from "@waybill/core";
import type { DeadLetters, Reader } from "@waybill/dead-letter";
import type { Ledger } from "@waybill/outbox";
import type { Connection, HeldLease, Namespace } from "@waybill/sql";
import type { Cursor } from "./cursor.ts";
import type { Entry, Lanes } from "./lanes.ts";
import type { RelaySettings } from "./options.ts";
import type { Spill } from "./spill.ts";
import type { Fence, SubscriptionRow } from "./subscriptions.ts";

/** An event before it is told whose it is. */
export type RelayReport = RelayEvent extends infer Event
  ? Event extends RelayEvent
    ? Omit<Event, "stream" | "subscription">
    : never
  : never;

/** What a relay works with, whoever holds the lease. */
export interface RelayParts {
  readonly settings: RelaySettings;
  readonly space: Namespace;
  readonly ledger: Ledger;
  readonly row: SubscriptionRow;
  readonly deadLetters: DeadLetters;
  readonly spill: Spill;
  readonly reader: Reader;
}

/** Four, however much waits: two to read, one for lease and cursor so that nothing else can hold it up, one for upkeep. */
export interface SessionConnections {
  readonly read: Connection;
  readonly lookUp: Connection;
  readonly save: Connection;
  readonly upkeep: Connection;
}

export interface Session extends RelayParts {
  readonly connections: SessionConnections;
  readonly fence: Fence;
  readonly serverIdentity: string;
  readonly cursor: Cursor<Entry>;
  readonly lanes: Lanes;
  readonly lease: HeldLease;
  readonly clock: Clock;
  /** Something was applied, finished or forgotten since the last snapshot. */
  isDirty: boolean;
  /** A stop was asked for: nothing new is begun. */
  isDraining: boolean;
  /** Publishing alone: see `solo.ts`. */
  isSolo: boolean;
  /** Monotonic time until which the whole transport waits; 0: it does not. */
  transportWaitsUntilMs: number;
  transportFailures: number;
  /** What to add to monotonic time to get the database's. */
  readonly databaseOffsetMs: number;
  /** Aborts when the session ends, however. */
  readonly ended: AbortSignal;
  /** Ends the session by rule R1. Only the first cause counts. */
  fail(cause: unknown): void;
  report(event: RelayReport): void;
  /** Calls back after `afterMs` unless the session ends before. */
  after(afterMs: number, callback: () => void): void;
  /** Resolves after `afterMs`, or when the session ends: false. For whoever waits as long as it lives, as it costs no listener on `ended`. */
  pause(afterMs: number): Promise<boolean>;
}

/** Makes the reporter of a subscription's events. */
export function reporter(onEvent: OnEvent | undefined, stream: string, subscription: string): (event: RelayReport) => void {
  if (onEvent === undefined) return () => undefined;
  return (event) => emit(onEvent, { ...event, stream, subscription } as RelayEvent);
}
