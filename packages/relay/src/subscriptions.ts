/**
 * The rows of `waybill_subscription`, as the relay uses them: a cursor, the lease that guards it, and what is known about messages
 * that kill their relay. Every write but the first is fenced by epoch and owner; `false` means that the lease is lost.
 */
import type { IdRange } from "@waybill/outbox";
import type { Connection, OwnedTx, Statements } from "@waybill/sql";

/** What a standby sees. null: there is no such row. */
export interface SubscriptionView {
  readonly state: "active" | "paused" | "stopped";
  readonly stateReason: string | null;
  readonly isFree: boolean;
  readonly configHash: string | null;
}

/** The right to act: part of every write. */
export interface Fence {
  readonly epoch: bigint;
  readonly owner: string;
}

/** How far a subscription has come: `ranges` are the ids at or below `lastId` to read again. */
export interface SavedCursor {
  readonly lastId: bigint;
  readonly ranges: readonly IdRange[];
}

/** Id → how often its relay died while publishing it alone. */
export type SoloDeaths = ReadonlyMap<bigint, number>;

/** The lease just taken, and what the last holder left. */
export interface Acquisition {
  readonly epoch: bigint;
  readonly cursor: SavedCursor;
  /** null: released, nobody died. Our own id: we had it before. */
  readonly ownerBefore: string | null;
  readonly progressedBefore: boolean;
  readonly soloIdBefore: bigint | null;
  readonly soloDeaths: SoloDeaths;
  /** Where the cursor was saved; null: never. */
  readonly serverIdentity: string | null;
  readonly ledgerIdentity: string | null;
}

export interface CursorToSave extends SavedCursor {
  readonly progressed: boolean;
  readonly soloId: bigint | null;
  readonly soloDeaths: SoloDeaths;
  /** False: losing this save in a crash costs repetitions only. */
  readonly isDurable: boolean;
}

export interface SubscriptionRow {
  ensure(statements: Statements, from: "beginning" | "now"): Promise<void>;
  view(statements: Statements, owner: string): Promise<SubscriptionView | null>;
  acquire(connection: Connection, owner: string, leaseMs: number, configHash: string): Promise<Acquisition | null>;
  settleAcquisition(
    connection: Connection,
    fence: Fence,
    found: { soloDeaths: SoloDeaths; serverIdentity: string; ledgerIdentity: string },
  ): Promise<boolean>;
  renew(connection: Connection, fence: Fence, leaseMs: number, serverIdentity: string): Promise<boolean>;
  save(connection: Connection, fence: Fence, leaseMs: number, serverIdentity: string, cursor: CursorToSave): Promise<boolean>;
  release(connection: Connection, fence: Fence): Promise<boolean>;
  /** After an operator took the lease away from us, when nothing of ours is on its way any more: others need not wait for its end. */
  yield(connection: Connection, fence: Fence): Promise<boolean>;
  /** Active → stopped, and the lease goes. Its line of audit belongs into the same unit. */
  stop(tx: OwnedTx, fence: Fence, reason: string): Promise<boolean>;
  /** First statement of a fenced unit of work. Its later statements wait at most `lockMs` for a row that somebody else has locked. */
  lock(tx: OwnedTx, fence: Fence, lockMs: number): Promise<boolean>;
}
