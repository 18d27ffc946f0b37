import type { ReceivedMessage } from "./message.ts";

/** One message on its way to one receiver. */
export interface Delivery {
  readonly message: ReceivedMessage;
  /** True if the source knows that it delivered the message before; null if it cannot tell. */
  readonly redelivered: boolean | null;
  /**
   * True: the broker counts deliveries and is about to delete the message instead of delivering it once more. The receiver makes no
   * further attempt; it writes the message down now, where it waits for a decision, and settles it. Left out: no.
   */
  readonly isLastChance?: boolean;
}

/** Our answer about a delivery. Dead letters and held messages are written down first, then they are `done`. */
export type Settlement = { readonly kind: "done" } | { readonly kind: "again"; readonly afterMs: number };

/** Answers one settlement per delivery, in the same order. A rejection settles none of them: all come again. */
export type HandleDeliveries = (batch: readonly Delivery[]) => Promise<readonly Settlement[]>;

/** Where messages come in. */
export interface Source {
  /**
   * Hands deliveries over until the signal aborts, then lets what was handed over settle and resolves. A settlement is honoured only
   * after `handle` resolves, so the broker learns of it after the inbox has committed. Rejects when it cannot go on by itself.
   */
  consume(handle: HandleDeliveries, options: { readonly signal: AbortSignal }): Promise<void>;
}
