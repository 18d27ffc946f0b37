/**
 * What operators do to a subscription, as statements inside a unit of work that also writes its line of audit. The ledger's row is locked first,
 * then the subscription's: whoever removes history locks the first, whoever holds a lease the second, and nobody both the other way round.
 */
import type { OwnedTx, Row } from "@waybill/sql";
import type { SubscriptionView } from "./subscriptions.ts";

export type SubscriptionState = SubscriptionView["state"];

/** How a subscription stands. */
export interface Standing {
  readonly state: SubscriptionState;
  readonly stateReason: string | null;
  readonly epoch: bigint;
  readonly lastId: bigint;
}

/** What there is of a ledger: ids above `removedTo`, up to `highestId`. The first beyond the second: ids went back. */
export interface LedgerEnds {
  readonly removedTo: bigint;
  readonly highestId: bigint;
}

export interface OperatorRow {
  /** No history is removed from here to the end of the unit. null: there is no such stream. */
  lockLedger(tx: OwnedTx): Promise<LedgerEnds | null>;
  forgetRemoved(tx: OwnedTx): Promise<void>;
  /** null: there is no such subscription. */
  lock(tx: OwnedTx): Promise<Standing | null>;
  insert(tx: OwnedTx, lastId: bigint): Promise<void>;
  changeState(tx: OwnedTx, state: SubscriptionState): Promise<void>;
  move(tx: OwnedTx, to: { readonly lastId: bigint; readonly state: SubscriptionState; readonly isAnotherLedger: boolean }): Promise<void>;
  remove(tx: OwnedTx): Promise<void>;
}

export function standingOf(row: Row): Standing {
  return {
    state: row["state"] as SubscriptionState,
    stateReason: row["state_reason"] as string | null,
    epoch: BigInt(String(row["epoch"])),
    lastId: BigInt(String(row["last_id"])),
  };
}
