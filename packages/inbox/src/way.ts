import type { OwnedTx } from "@waybill/sql";
import type { Action } from "./decision.ts";

/** How a message came: delivered by a source, or redriven from the dead letters. What differs between the two, all of it inside units. */
export interface Way {
  readonly isRedriven: boolean;
  /** Whether another process is at the message now. A look of its own before an attempt that would run alone: waits no longer than a moment. */
  isInOtherHands(): Promise<boolean>;
  /** First in the unit: finds out what is to be done. `gone`: somebody else is at it. */
  begin(tx: OwnedTx, isPoison: boolean): Promise<Action | { readonly kind: "gone" }>;
  /** Last in the unit of a message that was handled, or settled without. */
  finish(tx: OwnedTx): Promise<void>;
  /** First in the unit that gives a message up after its handler failed. `claimed`: the unit has inserted the message's row. */
  reopen(tx: OwnedTx): Promise<"claimed" | "open" | "duplicate" | "gone">;
  /** Writes the dead letter. `isClaimed`: this unit has inserted the message's row, which must go. */
  putAside(tx: OwnedTx, reason: string, attempts: number, isClaimed: boolean): Promise<void>;
  /** Writes the copy that waits behind a dead letter. */
  hold(tx: OwnedTx): Promise<void>;
}
